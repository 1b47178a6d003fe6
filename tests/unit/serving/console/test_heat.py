"""Features over hours as squares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamina.monitoring.drift.findings import MISSING, Finding, Kind, State
from serving.console.heat import LEVELS, ROWS, heat, level
from tests.console_reports import HOUR, drift

CALM = Finding(
    kind=Kind.COVARIATE,
    subject="amount",
    statistic="kolmogorov_smirnov",
    threshold=0.1,
    reference_rows=9,
    rows=9,
    effect=0.01,
    p=0.5,
    adjusted=0.5,
)


@pytest.mark.parametrize(
    ("effect", "state", "found"),
    [
        (0.049, State.STABLE, "calm"),
        (0.05, State.STABLE, "near"),
        (0.1, State.STABLE, "near"),
        (0.11, State.STABLE, "chance"),
        (0.11, State.DRIFTED, "warning"),
        (0.25, State.DRIFTED, "critical"),
        (None, State.TOO_FEW, "none"),
    ],
)
def test_a_square_says_what_the_report_says(effect: float | None, state: State, found: str) -> None:
    assert level(replace(CALM, effect=effect, state=state)) == found
    assert found in LEVELS


def test_of_two_statistics_of_a_feature_the_worse_is_shown() -> None:
    missing = replace(CALM, statistic=MISSING, threshold=0.05, effect=0.2, state=State.DRIFTED)
    for findings in ((CALM, missing), (missing, CALM)):
        (row,) = heat([(HOUR, drift(0).model_copy(update={"findings": findings}))]).rows
        assert row[0] == "covariate: amount" and [square and square.level for square in row[1]] == ["critical"]


def test_an_hour_that_says_nothing_of_a_feature_has_no_square_of_it() -> None:
    quiet = drift(1).model_copy(update={"findings": ()})
    found = heat([(HOUR, quiet), (HOUR, drift(0))])
    assert all(squares[0] is None and squares[1] is not None for _, squares in found.rows)


def test_of_many_features_those_that_were_furthest_are_shown() -> None:
    many = tuple(replace(CALM, subject=f"f{n:02d}", effect=n / 1000) for n in range(60))
    found = heat([(HOUR, drift(0).model_copy(update={"findings": many}))])
    assert [what for what, _ in found.rows] == [f"covariate: f{n}" for n in range(59, 59 - ROWS, -1)]

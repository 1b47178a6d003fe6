"""What chance explains is no alert: the end of the interval decides, not the figure alone."""

from __future__ import annotations

import pytest

from lamina.contracts.watching import Watching
from lamina.monitoring.fallen import alerts_of
from lamina.monitoring.forms import Figure

WATCHING = Watching(min_auc=0.70, max_fall=0.05)


def told(figure: Figure, **own: float) -> list[str]:
    return [alert.name for alert in alerts_of(WATCHING, "version 3", {"auc": figure}, own)]


@pytest.mark.parametrize(("high", "expected"), [(0.72, []), (0.70, []), (0.699, ["auc_below_minimum"]), (None, [])])
def test_an_auc_is_low_when_all_of_its_interval_is(high: float | None, expected: list[str]) -> None:
    assert told(Figure(value=0.65, low=0.6, high=high)) == expected


@pytest.mark.parametrize(
    ("value", "high", "expected"),
    [
        (0.84, 0.89, ["auc_fell"]),
        (0.84, 0.90, []),
        (0.84, 0.95, []),
        (0.86, 0.88, []),
        (0.84, None, []),
    ],
)
def test_a_fall_is_one_when_it_is_far_and_the_interval_does_not_reach_back(
    value: float, high: float | None, expected: list[str]
) -> None:
    assert told(Figure(value=value, low=0.8, high=high), auc=0.90) == expected

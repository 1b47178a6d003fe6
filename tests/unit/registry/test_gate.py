from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import pytest

from lamina.lake import layout
from lamina.registry.evaluation import Contender, Evaluation
from lamina.registry.gate import BrokenReport, Enough, Parity, decide, latest_parity, may_challenge

DAY = date(2018, 8, 21)
CHAMPION = Contender(version="1", logical_date=DAY, metrics={})


def put_parity(lake: Path, day: date, document: object) -> None:
    folder = Path(layout.parity(str(lake), "fraud", day))
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(document))


def evaluated(*, promote: bool, champion: Contender | None) -> Evaluation:
    return Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=10,
        positives=1,
        candidate=Contender(version="2", logical_date=DAY, metrics={}),
        champion=champion,
        promote=promote,
        reasons=("measured",),
    )


def test_the_newest_parity_report_counts(tmp_path: Path) -> None:
    assert latest_parity(str(tmp_path), "fraud") is None
    put_parity(tmp_path, date(2018, 8, 19), {"compared": 9, "mismatches": 4})
    put_parity(tmp_path, date(2018, 8, 20), {"compared": 7, "mismatches": 0})
    assert latest_parity(str(tmp_path), "fraud") == Parity(date(2018, 8, 20), compared=7, mismatches=0)


@pytest.mark.parametrize("document", [{"rows": 4}, {"compared": 4}, {"compared": 1, "mismatches": None}, [1]])
def test_a_parity_report_that_does_not_say_is_refused(tmp_path: Path, document: object) -> None:
    put_parity(tmp_path, DAY, document)
    with pytest.raises(BrokenReport, match="run the parity job again"):
        latest_parity(str(tmp_path), "fraud")


def test_the_report_that_is_broken_is_the_one_named(tmp_path: Path) -> None:
    for day in (18, 19):
        put_parity(tmp_path, date(2018, 8, day), {"compared": 9, "mismatches": 4})
    put_parity(tmp_path, date(2018, 8, 20), {})
    with pytest.raises(BrokenReport, match=r"2018-08-20/report\.json does not say"):
        latest_parity(str(tmp_path), "fraud")


@pytest.mark.parametrize("champion", [None, CHAMPION])
@pytest.mark.parametrize("promote", [True, False])
@pytest.mark.parametrize("mismatches", [None, 0, 2])
def test_a_version_passes_when_it_is_better_and_parity_is_clean(
    promote: bool, champion: Contender | None, mismatches: int | None
) -> None:
    parity = None if mismatches is None else Parity(DAY, compared=100, mismatches=mismatches)
    promoted, reasons = decide(evaluated(promote=promote, champion=champion), parity)
    unproven = mismatches is None and champion is not None
    assert promoted is (promote and not mismatches and not unproven)
    assert reasons[0] == "measured"
    said = "; ".join(reasons)
    assert ("has 2 mismatches" in said) is (mismatches == 2)
    assert ("there is no parity report" in said) is (promote and unproven)


@pytest.mark.parametrize(
    ("parity", "says"),
    [
        (Parity(DAY, compared=0, mismatches=0), "found no decision to compare, and 100 are needed"),
        (Parity(DAY, compared=99, mismatches=0), "compared 99 decisions, and 100 are needed"),
        (Parity(date(2018, 8, 13), compared=10_000, mismatches=0), "is 8 days older than the version, and 7 are"),
        (Parity(date(2017, 8, 21), compared=10_000, mismatches=0), "is 365 days older than the version, and 7 are"),
    ],
)
def test_a_report_that_says_too_little_promotes_nobody(parity: Parity, says: str) -> None:
    promoted, reasons = decide(evaluated(promote=True, champion=CHAMPION), parity)
    assert not promoted
    assert says in reasons[-1] and "jobs.spark.parity" in reasons[-1]
    first, reasons = decide(evaluated(promote=True, champion=None), parity)
    assert first and says in reasons[-1], "there may have been nothing to compare"


def test_a_champion_that_cannot_be_measured_has_served_all_the_same() -> None:
    unmeasured = evaluated(promote=True, champion=None).model_copy(update={"against": "1"})
    promoted, reasons = decide(unmeasured, None)
    assert not promoted and "there is no parity report of fraud" in reasons[-1]
    assert decide(unmeasured, Parity(DAY, compared=100, mismatches=0))[0]


def test_a_report_at_the_limits_is_enough() -> None:
    parity = Parity(date(2018, 8, 14), compared=100, mismatches=0)
    assert decide(evaluated(promote=True, champion=CHAMPION), parity)[0]
    assert decide(evaluated(promote=True, champion=CHAMPION), parity, Enough(7, 101))[0] is False
    assert decide(evaluated(promote=True, champion=CHAMPION), parity, Enough(6, 100))[0] is False
    assert decide(evaluated(promote=True, champion=CHAMPION), Parity(DAY, 0, 0), Enough(7, 0))[0] is False


def test_where_one_decision_is_enough_one_is() -> None:
    assert decide(evaluated(promote=True, champion=CHAMPION), Parity(DAY, 1, 0), Enough(7, 1))[0]
    assert decide(evaluated(promote=True, champion=CHAMPION), Parity(DAY, 1, 0), Enough(7, 0))[0]


@pytest.mark.parametrize("parity", [None, Parity(DAY, 100, 0)])
def test_only_what_is_not_surely_worse_is_tried_and_beside_a_champion(parity: Parity | None) -> None:
    for champion in (CHAMPION, None):
        for allowed in (True, False):
            found = evaluated(promote=False, champion=champion).model_copy(update={"challenge": allowed})
            assert may_challenge(found, parity) is (allowed and champion is not None)


def test_what_is_enough_does_not_change_while_it_is_asked() -> None:
    enough, parity = Enough(7, 1), Parity(DAY, 1, 0)
    assert decide(evaluated(promote=True, champion=CHAMPION), parity, enough)[0]
    with pytest.raises(FrozenInstanceError):
        enough.min_decisions = 0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        parity.mismatches = 1  # type: ignore[misc]


def test_a_report_of_a_later_day_is_not_old() -> None:
    assert decide(evaluated(promote=True, champion=CHAMPION), Parity(date(2018, 9, 30), 100, 0))[0]


def test_mismatches_count_however_old_and_few() -> None:
    old = Parity(date(2017, 8, 21), compared=1, mismatches=1)
    assert "has 1 mismatches" in decide(evaluated(promote=True, champion=None), old)[1][-1]
    assert not decide(evaluated(promote=True, champion=None), old)[0]
    assert not may_challenge(evaluated(promote=True, champion=CHAMPION), old)


def test_one_that_is_better_unproven_may_be_tried() -> None:
    assert may_challenge(evaluated(promote=True, champion=CHAMPION), Parity(DAY, compared=0, mismatches=0))

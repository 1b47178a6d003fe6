from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from lamina.lake import layout
from lamina.registry.evaluation import Contender, Evaluation
from lamina.registry.gate import BrokenReport, Parity, decide, latest_parity

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
        frauds=1,
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


@pytest.mark.parametrize("champion", [None, CHAMPION])
@pytest.mark.parametrize("promote", [True, False])
@pytest.mark.parametrize("mismatches", [None, 0, 2])
def test_a_version_passes_when_it_is_better_and_parity_is_clean(
    promote: bool, champion: Contender | None, mismatches: int | None
) -> None:
    parity = None if mismatches is None else Parity(DAY, compared=5, mismatches=mismatches)
    promoted, reasons = decide(evaluated(promote=promote, champion=champion), parity)
    unproven = mismatches is None and champion is not None
    assert promoted is (promote and not mismatches and not unproven)
    assert reasons[0] == "measured"
    said = "; ".join(reasons)
    assert ("has 2 mismatches" in said) is (mismatches == 2)
    assert ("there is no parity report" in said) is (promote and unproven)


def test_a_report_that_compared_nothing_says_so() -> None:
    promoted, reasons = decide(evaluated(promote=True, champion=CHAMPION), Parity(DAY, compared=0, mismatches=0))
    assert promoted
    assert reasons[-1].endswith("found no decision to compare")

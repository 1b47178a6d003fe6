from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from lamina.lake import layout
from lamina.registry.evaluation import (
    BrokenReport,
    Contender,
    Evaluation,
    NoEvaluation,
    mismatches_of_latest_parity,
    read_evaluation,
    write_evaluation,
)

DAY = date(2018, 8, 21)
PROMOTED = Evaluation(
    system="fraud",
    logical_date=DAY,
    rows=10,
    frauds=1,
    candidate=Contender(version="2", logical_date=DAY, metrics={"auc": 0.9}),
    champion=None,
    promote=True,
    reasons=("first", "good"),
)


def put_parity(lake: Path, day: date, document: dict[str, object]) -> None:
    folder = Path(layout.parity(str(lake), "fraud", day))
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(document))


def test_an_evaluation_survives_the_lake(tmp_path: Path) -> None:
    write_evaluation(str(tmp_path), PROMOTED)
    assert read_evaluation(str(tmp_path), "fraud", DAY) == PROMOTED


def test_a_second_evaluation_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write_evaluation(str(tmp_path), PROMOTED)
    write_evaluation(str(tmp_path), PROMOTED.model_copy(update={"promote": False}))
    assert not read_evaluation(str(tmp_path), "fraud", DAY).promote


def test_no_evaluation_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NoEvaluation, match=r"models\.fraud\.evaluate --date 2018-08-21"):
        read_evaluation(str(tmp_path), "fraud", DAY)


def test_a_broken_evaluation_is_refused(tmp_path: Path) -> None:
    path = Path(write_evaluation(str(tmp_path), PROMOTED))
    path.write_text(path.read_text().replace('"promote"', '"promoted"'))
    with pytest.raises(NoEvaluation, match="evaluate the model again"):
        read_evaluation(str(tmp_path), "fraud", DAY)


def test_nothing_cannot_be_promoted() -> None:
    with pytest.raises(ValidationError, match="candidate is missing"):
        Evaluation(**{**PROMOTED.model_dump(), "candidate": None})


def test_the_newest_parity_report_counts(tmp_path: Path) -> None:
    assert mismatches_of_latest_parity(str(tmp_path), "fraud") is None
    put_parity(tmp_path, date(2018, 8, 19), {"mismatches": 4})
    put_parity(tmp_path, date(2018, 8, 20), {"mismatches": 0})
    assert mismatches_of_latest_parity(str(tmp_path), "fraud") == 0


def test_a_parity_report_that_does_not_say_is_refused(tmp_path: Path) -> None:
    put_parity(tmp_path, DAY, {"rows": 4})
    with pytest.raises(BrokenReport, match="run the parity job again"):
        mismatches_of_latest_parity(str(tmp_path), "fraud")

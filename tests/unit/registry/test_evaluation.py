from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from lamina.registry.evaluation import (
    Contender,
    Evaluation,
    NoEvaluation,
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

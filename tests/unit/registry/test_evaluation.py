from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from lamina.registry.evaluation import (
    Contender,
    Evaluation,
    Interval,
    NoEvaluation,
    Slice,
    read_evaluation,
    write_evaluation,
)
from lamina.registry.protocol import Kind

DAY = date(2018, 8, 21)
PROMOTED = Evaluation(
    system="fraud",
    logical_date=DAY,
    rows=10,
    positives=1,
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


def test_each_kind_of_a_day_has_its_own(tmp_path: Path) -> None:
    write_evaluation(str(tmp_path), PROMOTED)
    write_evaluation(str(tmp_path), PROMOTED.model_copy(update={"promote": False}), Kind.BLEND)
    assert read_evaluation(str(tmp_path), "fraud", DAY).promote
    assert not read_evaluation(str(tmp_path), "fraud", DAY, Kind.BLEND).promote
    with pytest.raises(NoEvaluation, match=r"models\.fraud\.evaluate --date 2018-08-21 --kind online first"):
        read_evaluation(str(tmp_path), "fraud", DAY, Kind.ONLINE)


def test_no_evaluation_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NoEvaluation, match=r"models\.fraud\.evaluate --date 2018-08-21"):
        read_evaluation(str(tmp_path), "fraud", DAY)


def test_a_broken_evaluation_is_refused(tmp_path: Path) -> None:
    path = Path(write_evaluation(str(tmp_path), PROMOTED))
    path.write_text(path.read_text().replace('"promote"', '"promoted"'))
    with pytest.raises(NoEvaluation, match=r"cannot be read \(Field required\): evaluate the model again"):
        read_evaluation(str(tmp_path), "fraud", DAY)


def test_nothing_cannot_be_promoted() -> None:
    with pytest.raises(ValidationError, match="candidate is missing"):
        Evaluation(**{**PROMOTED.model_dump(), "candidate": None})


@pytest.mark.parametrize("changed", [{"promote": True}, {"candidate": None}, {"champion": None}])
def test_only_one_that_stays_behind_a_champion_challenges(changed: dict[str, object]) -> None:
    contender = Contender(version="1", logical_date=DAY, metrics={})
    fair = {**PROMOTED.model_dump(), "promote": False, "challenge": True, "champion": contender}
    assert Evaluation.model_validate(fair).challenge
    with pytest.raises(ValidationError, match="challenges nobody"):
        Evaluation.model_validate(fair | changed)


@pytest.mark.parametrize(
    "part",
    [
        PROMOTED,
        Contender(version="1", logical_date=DAY, metrics={}),
        Interval(difference=0.1, low=0.0, high=0.2, confidence=0.95),
        Slice(name="young", rows=3, positives=1, candidate={}),
    ],
)
def test_what_was_measured_is_not_changed_and_nothing_unknown_is_taken(part: BaseModel) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, next(iter(type(part).model_fields)), "x")
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(part).model_validate(part.model_dump() | {"unknown": 1})


def test_what_is_left_out_is_nothing() -> None:
    made = Evaluation(
        system="fraud", logical_date=DAY, rows=1, positives=0, candidate=None, champion=None, promote=False, reasons=()
    )
    assert (made.against, made.differences, made.slices, made.challenge) == (None, {}, (), False)
    assert Evaluation.model_validate({**made.model_dump(exclude={"against"}), "champion": None}).against is None


def test_it_is_written_for_people_too(tmp_path: Path) -> None:
    lines = Path(write_evaluation(str(tmp_path), PROMOTED)).read_text()
    assert '\n  "frauds": 1,\n' in lines  # by the name that versions before read
    assert '\n  "rows": 10,\n' in lines and lines.endswith("}\n")

"""Records of a rollout in the lake: what is live, what is kept, and what a daily run makes for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lamina.contracts.features import days, seconds
from lamina.errors import DefinitionError, RolloutError
from lamina.rollout.generation import Generation
from lamina.rollout.records import (
    Record,
    ages,
    beside,
    is_waiting,
    live_of,
    read_records,
    readable_records,
    recorded,
    remove_record,
    write_record,
)
from tests.unit.rollout.sets import NEW, OLD, PEAKS, SPEND

OLDER, NEWER = Record(Generation(OLD), 1, 2), Record(Generation(NEW), 3)


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake [of] ours")
    assert read_records(lake, "fraud") == []
    write_record(lake, NEWER)
    write_record(lake, OLDER)
    assert read_records(lake, "fraud") == [OLDER, NEWER]
    assert read_records(lake, "activity") == []
    remove_record(lake, OLDER)
    remove_record(lake, OLDER)
    assert read_records(lake, "fraud") == [NEWER]


def test_a_record_that_has_not_changed_is_not_parsed_again(tmp_path: Path) -> None:
    """Processes of the API look every two seconds, beside requests."""
    write_record(str(tmp_path), OLDER)
    (first,), (again,) = (read_records(str(tmp_path), "fraud") for _ in range(2))
    assert first is again


def test_the_last_to_go_live_is_live(tmp_path: Path) -> None:
    assert live_of([]) is None
    assert live_of([NEWER]) is None
    assert live_of([OLDER, NEWER]) == OLDER
    assert live_of([OLDER, NEWER.went_live(5)]) == NEWER.went_live(5)
    assert live_of([OLDER.went_live(7), NEWER.went_live(5)]) == OLDER.went_live(7)


def test_a_rollout_that_stands_still_is_told_by_its_age() -> None:
    none = {"filling": 0.0, "kept": 0.0}
    assert ages([], 5000) == ages([OLDER], 5000) == none
    assert ages([OLDER, NEWER], 5003) == none | {"filling": 5.0}
    assert ages([NEWER, Record(NEWER.generation, 2003)], 5003) == none | {"filling": 5.0}, "that of the oldest"
    live = NEWER.went_live(2000)
    assert ages([OLDER, live], 5000) == none | {"kept": 3.0}, "since the other took its place, whenever it was live"
    assert ages([OLDER, live, live.went_live(4000)], 5000) == none | {"kept": 3.0}
    assert ages([OLDER.went_live(4000), live], 5000) == none | {"kept": 1.0}, "on the way back"
    assert ages([NEWER, OLDER, live], 1) == none, "by a clock that is behind"


def test_a_record_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_record(str(tmp_path), NEWER)
    write_record(str(tmp_path), NEWER.went_live(9))
    assert read_records(str(tmp_path), "fraud") == [NEWER.went_live(9)]
    assert [file.name for file in (tmp_path / "rollout" / "fraud").iterdir()] == [f"{NEWER.id}.json"]


def test_a_daily_run_makes_of_the_others_what_its_own_lack() -> None:
    old, new = OLDER.generation.plan, NEWER.generation.plan
    ((plan, keys),) = beside([OLDER, NEWER], new)
    assert plan == old
    assert keys == {t.key for t in old.tile_specs} - {t.key for t in new.tile_specs} != set()
    assert beside([OLDER], old) == []


def test_a_daily_run_reaches_as_far_back_as_any() -> None:
    longer = Generation(replace(OLD, views=(replace(SPEND, windows=(*SPEND.windows, days(30))), PEAKS)))
    ((plan, keys),) = beside([OLDER, Record(longer, 5)], OLDER.generation.plan)
    assert plan == longer.plan
    assert keys == {t.key for t in longer.plan.tile_specs if t.resolution == seconds(1)}


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [("{", RolloutError, "is no record of a rollout"), ('{"began_ms": 1}', RolloutError, "is no record")],
)
def test_a_broken_record_is_told(tmp_path: Path, text: str, error: type[Exception], told: str) -> None:
    folder = tmp_path / "rollout" / "fraud"
    folder.mkdir(parents=True)
    (folder / "0a.json").write_text(text)
    with pytest.raises(error, match=told):
        read_records(str(tmp_path), "fraud")


def test_a_record_of_another_version_is_told(tmp_path: Path) -> None:
    write_record(str(tmp_path), OLDER)
    file = tmp_path / "rollout" / "fraud" / f"{OLDER.id}.json"
    file.write_text(file.read_text().replace('"windows"', '"spans"'))
    with pytest.raises(DefinitionError, match="cannot be read by this version"):
        read_records(str(tmp_path), "fraud")
    assert readable_records(str(tmp_path), "fraud") == []


def test_a_generation_is_named_by_its_id(tmp_path: Path) -> None:
    write_record(str(tmp_path), OLDER)
    assert recorded(str(tmp_path), "fraud", OLDER.id) == OLD
    assert readable_records(str(tmp_path), "fraud") == [OLDER]
    with pytest.raises(RolloutError, match=f"no generation '{NEWER.id}' of 'fraud' is recorded; there are {OLDER.id}"):
        recorded(str(tmp_path), "fraud", NEWER.id)


def test_what_the_code_defines_waits_until_it_is_live(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert not is_waiting(lake, NEWER.generation)
    write_record(lake, OLDER)
    assert is_waiting(lake, NEWER.generation)
    write_record(lake, NEWER)
    assert is_waiting(lake, NEWER.generation)
    assert not is_waiting(lake, OLDER.generation)
    write_record(lake, NEWER.went_live(9))
    assert not is_waiting(lake, NEWER.generation)

"""A lake of the version whose labels lay under `model-feedback`, recorded, led over to `fraud-labels`."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from jobs.spark import offsets
from jobs.spark.quarantine import Day
from lamina.errors import MigrationBlocked
from lamina.lake import layout
from lamina.lake.partitions import ingested_days
from lamina.lake.write import open_lake, write_partition
from lamina.migrations.renamed_folders import archived_ends, days_with, renamed_folders
from lamina.settings import ROOT
from lamina.streams.identity import TopicIdentity

RECORDED = ROOT / "tests" / "data" / "lakes" / "labels-on-model-feedback"
OLD, NEW = "model-feedback", "fraud-labels"
TUESDAY, WEDNESDAY, ASIDE = date(2018, 8, 15), date(2018, 8, 16), date(2018, 8, 17)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    shutil.copytree(RECORDED, tmp_path / "lake")
    return str(tmp_path / "lake")


def led_over(lake: str) -> int:
    """Do what is pending; how many tasks there were."""
    tasks = renamed_folders(lake, OLD, NEW)
    for task in tasks:
        task.apply()
    return len(tasks)


def files(lake: str) -> set[str]:
    """Every file of the lake, from its folder."""
    fs, path = open_lake(lake)
    return {str(file).removeprefix(f"{path}/") for file in fs.find(path)}


def labels(lake: str, folder: str) -> list[dict[str, Any]]:
    found = ds.dataset(f"{lake}/{folder}", format="parquet", exclude_invalid_files=True).to_table()
    return sorted(found.to_pylist(), key=lambda row: str(row["transaction_id"]))


def test_every_label_is_found_under_the_new_name(lake: str) -> None:
    before = labels(lake, "events/model-feedback")
    assert led_over(lake) == 4
    assert labels(lake, "events/fraud-labels") == before
    assert ingested_days(lake, NEW) == [TUESDAY, WEDNESDAY]
    assert not {file for file in files(lake) if f"/{OLD}/" in file}
    assert {file for file in files(lake) if not file.startswith("events")} == {
        "quarantine/fraud-labels/ingested=2018-08-17/origin=kafka-model-feedback/_offsets.json",
        "quarantine/fraud-labels/ingested=2018-08-17/origin=kafka-model-feedback/part-00000.parquet",
        "quality/fraud-labels/2018-08-17/report.json",
        "rejects/fraud-labels/handbook.jsonl",
    }


def test_a_second_run_finds_nothing_to_do(lake: str) -> None:
    led_over(lake)
    after = files(lake)
    assert led_over(lake) == 0
    assert files(lake) == after


def test_a_look_changes_nothing(lake: str) -> None:
    before = files(lake)
    told = [task.what for task in renamed_folders(lake, OLD, NEW)]
    assert told[0] == f"move {lake}/events/model-feedback to {lake}/events/fraud-labels"
    assert files(lake) == before


def test_offsets_of_the_old_topic_are_none_of_the_new_one(lake: str) -> None:
    """The archive begins at the new topic's beginning, and a rerun of an old day takes nothing away from it."""
    led_over(lake)
    assert offsets.records(lake, NEW) == {}
    now = TopicIdentity("c1", "id2")
    archived = offsets.of_topic(NEW, ASIDE, offsets.records(lake, NEW), now, allow_gap=False)
    assert offsets.plan(NEW, ASIDE, archived, {0: 0}, {0: 9}, allow_gap=False).messages == 9


def test_how_far_the_old_topic_was_archived_is_known_before_and_after(lake: str) -> None:
    assert archived_ends(lake, OLD, NEW) == {0: 6}
    led_over(lake)
    assert archived_ends(lake, OLD, NEW) == {0: 6}
    assert archived_ends(lake, "other", NEW) == {}


def test_a_day_that_is_kept_aside_can_be_released(lake: str) -> None:
    led_over(lake)
    day = Day(lake, NEW, ASIDE)
    assert day.is_aside
    day.restore()
    assert [row["transaction_id"] for row in labels(lake, f"events/{NEW}/{layout.ingested(ASIDE)}")] == ["t5"]


def test_days_that_were_written_under_the_new_name_meanwhile_stay(lake: str) -> None:
    """As by a daily run of the new version before anybody led the old one's data over."""
    before = labels(lake, "events/model-feedback")
    old = Path(layout.events(lake, OLD, WEDNESDAY), layout.ORIGIN)
    new = Path(layout.events(lake, NEW, WEDNESDAY), layout.ORIGIN)
    shutil.copytree(old, new)
    own = labels(lake, f"events/{NEW}")
    led_over(lake)
    assert labels(lake, f"events/{NEW}") == sorted([*before, *own], key=lambda row: str(row["transaction_id"]))
    assert set(offsets.records(lake, NEW)) == {WEDNESDAY}


def test_a_run_that_was_ended_is_gone_on_with(lake: str) -> None:
    whole = f"{lake}-whole"
    shutil.copytree(lake, whole)
    led_over(whole)
    # Ended after one day's folder had its new name, and after another day was where it belongs.
    day = Path(layout.events(lake, OLD, TUESDAY))
    (day / layout.ORIGIN).rename(day / f"{layout.ORIGIN}-{OLD}")
    moved = Path(layout.events(lake, NEW, TUESDAY))
    moved.parent.mkdir(parents=True)
    day.rename(moved)
    led_over(lake)
    assert files(lake) == files(whole)


def test_what_stands_against_something_else_is_left_where_it_is(lake: str) -> None:
    own = Path(layout.events(lake, NEW, TUESDAY), "import-handbook-00000.parquet")
    own.parent.mkdir(parents=True)
    own.write_bytes(b"another import")
    with pytest.raises(MigrationBlocked, match=r"import-handbook-00000.parquet cannot be moved: there is .* already"):
        led_over(lake)
    assert own.read_bytes() == b"another import"
    assert "events/model-feedback/ingested=2018-08-15/import-handbook-00000.parquet" in files(lake)
    own.unlink()
    led_over(lake)
    assert not {file for file in files(lake) if f"/{OLD}/" in file}


def test_a_lake_on_an_object_store_is_led_over_file_by_file(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/lake"
    fs, path = open_lake(url)
    for file in RECORDED.rglob("*"):
        if file.is_file():
            fs.pipe_file(f"{path}/{file.relative_to(RECORDED).as_posix()}", file.read_bytes())
    # Ended between the copy of a file and its removal.
    name = "ingested=2018-08-15/import-handbook-00000.parquet"
    fs.cp_file(f"{path}/events/{OLD}/{name}", f"{path}/events/{NEW}/{name}")
    assert led_over(url) == 4
    assert led_over(url) == 0
    assert len(files(url)) == sum(file.is_file() for file in RECORDED.rglob("*"))
    assert not {file for file in files(url) if f"/{OLD}/" in file}


def test_a_lake_without_the_old_name_needs_nothing(tmp_path: Path) -> None:
    assert led_over(str(tmp_path / "lake")) == 0
    assert not (tmp_path / "lake").exists()


def test_days_of_another_topic_that_has_the_name_now_stay(lake: str) -> None:
    """As after a daily run of a version that calls other events so, before anybody led the labels over."""
    day = date(2018, 8, 20)
    write_partition(f"{layout.events(lake, OLD, day)}/{layout.ORIGIN}", pa.table({"feedback_id": ["f-1"]}))
    (Path(lake) / "quality" / OLD / day.isoformat()).mkdir()
    (Path(lake) / "quality" / OLD / day.isoformat() / "report.json").write_text("{}")
    before = labels(lake, f"events/{OLD}/{layout.ingested(TUESDAY)}")
    stay = days_with(lake, OLD, "feedback_id")
    assert stay == {"2018-08-20"}
    for task in renamed_folders(lake, OLD, NEW, stay=stay):
        task.apply()
    assert ingested_days(lake, OLD) == [day]
    assert ingested_days(lake, NEW) == [TUESDAY, WEDNESDAY]
    assert labels(lake, f"events/{NEW}/{layout.ingested(TUESDAY)}") == before
    assert {file for file in files(lake) if f"/{OLD}/" in file and not file.startswith("events")} == {
        "quality/model-feedback/2018-08-20/report.json"
    }
    assert renamed_folders(lake, OLD, NEW, stay=stay) == []

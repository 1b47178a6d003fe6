"""One day archived by two drivers: what the gate of one says is never taken for what lies there of the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.spark import archive_events, offsets, quality
from jobs.spark.archive_day import archive_day
from jobs.spark.archive_events import archive
from jobs.spark.quality import check, release
from lamina.contracts.user_events import USER_EVENTS
from lamina.errors import ArchivedMeanwhile, ArchiveFailed, QualityGateFailed, StreamError
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake
from lamina.lake.write import open_lake, replacing, write_file
from lamina.quality.standing import forget, standing
from lamina.settings import Settings, load_settings
from lamina.streams.identity import TopicIdentity

DAY = date(2018, 8, 8)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(lake_url=str(tmp_path / "lake"))


def archived(settings: Settings, run: str) -> None:
    """A day of which all messages were rubbish, as `jobs.spark.archive_events` leaves it."""
    with replacing(f"{layout.events(settings.lake_url, USER_EVENTS, DAY)}/{layout.ORIGIN}") as staging:
        fs, path = open_lake(staging)
        write_file(fs, f"{path}/part-0.parquet", in_lake(SCHEMAS[USER_EVENTS]).empty_table())
        told = {"date": DAY.isoformat(), "offsets": {"0": [0, 10]}, "run": run, "read": 10, "dead": 10}
        fs.pipe_file(f"{path}/{layout.OFFSETS}", json.dumps(told).encode())
        forget(settings.lake_url, USER_EVENTS, DAY)


def looked_at(settings: Settings, run: str | None = None) -> dict[str, Any]:
    return check(_no_session, settings, USER_EVENTS, DAY, run=run)


def _no_session() -> Any:
    raise AssertionError("a day this small needs no Spark")


def _session() -> Any:
    """Spark itself is asked nothing here."""


def verdict(settings: Settings) -> str | None:
    return standing(settings.lake_url, USER_EVENTS, DAY).verdict


def while_looking(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """`do` happens once, after the gate has read the day's files."""
    validate = quality.validate  # type: ignore[attr-defined]

    def then(*arguments: Any, **options: Any) -> Any:
        found = validate(*arguments, **options)
        monkeypatch.setattr(quality, "validate", validate)
        do()
        return found

    monkeypatch.setattr(quality, "validate", then)


def test_rubbish_is_stopped_however_often_it_is_archived(settings: Settings) -> None:
    for run in ("first", "second", "second"):
        archived(settings, run)
        assert verdict(settings) is None
        for _ in range(2):
            with pytest.raises(QualityGateFailed, match="10 of 10 messages"):
                looked_at(settings, run)
            assert verdict(settings) == "failed"
    assert not Path(layout.events(settings.lake_url, USER_EVENTS, DAY)).exists()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Kafka, as far as the archive asks it: ten messages of rubbish. Gives how many of them Spark reads."""
    told = {"read": 10, "dead": 10}

    def read(session: Any, settings: Settings, topic: str, plan: Any, staging: str, now_ms: int) -> dict[str, int]:
        assert plan.ranges == {0: offsets.Range(0, 10)}, "a day has the same messages, wherever it lies by now"
        fs, path = open_lake(staging)
        write_file(fs, f"{path}/part-0.parquet", in_lake(SCHEMAS[topic]).empty_table())
        return {**told, "archived": 0}

    monkeypatch.setattr(archive_events, "_archive", read)
    monkeypatch.setattr(archive_events, "identity_of", lambda bootstrap, name: TopicIdentity("cluster", "topic"))
    monkeypatch.setattr(offsets, "held", lambda bootstrap, name: ({0: 0}, {0: 10}))
    return told


def test_a_driver_that_is_started_again_finds_the_same_rubbish(settings: Settings, topic: dict[str, int]) -> None:
    """Where the first one ended well, was killed behind its archive, or within it."""
    for left in ("nothing", "all", "an archive", "no verdict"):
        if left == "an archive":
            archive(_session, settings, USER_EVENTS, DAY)
            assert verdict(settings) is None
        if left == "no verdict":
            forget(settings.lake_url, USER_EVENTS, DAY)
        with pytest.raises(ArchiveFailed, match="10 of 10 messages"):
            archive_day(_session, settings, [USER_EVENTS], DAY)
        found = standing(settings.lake_url, USER_EVENTS, DAY)
        assert (found.verdict, found.is_lasting) == ("failed", True)


def test_messages_of_which_none_was_read_are_no_day_without_events(settings: Settings, topic: dict[str, int]) -> None:
    topic |= {"read": 0, "dead": 0}
    with pytest.raises(StreamError, match=re.escape("read no message at 10 offsets ({'0': [0, 10]})")):
        archive(_session, settings, USER_EVENTS, DAY)
    assert offsets.records(settings.lake_url, USER_EVENTS) == {}
    counts = archive(_session, settings, USER_EVENTS, DAY, allow_gap=True)
    assert (counts["read"], counts["without_message"]) == (0, 10)


def test_the_gate_of_another_archive_says_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(settings, "first")
    while_looking(monkeypatch, lambda: archived(settings, "second"))
    with pytest.raises(ArchivedMeanwhile, match="see that one archive of a day runs at a time"):
        looked_at(settings, "first")
    with pytest.raises(ArchivedMeanwhile):
        looked_at(settings, "first")
    assert verdict(settings) is None
    with pytest.raises(QualityGateFailed):
        looked_at(settings, "second")
    assert verdict(settings) == "failed"


def test_a_folder_that_is_being_moved_is_no_empty_day(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other driver's gate puts it aside, or its archive replaces it: for a moment nothing lies there."""
    archived(settings, "first")
    place = Path(layout.events(settings.lake_url, USER_EVENTS, DAY)) / layout.ORIGIN
    away = place.with_name("away")
    place.rename(away)

    def put_back() -> None:
        away.rename(place)

    with pytest.raises(ArchivedMeanwhile):
        looked_at(settings, "first")
    while_looking(monkeypatch, put_back)
    with pytest.raises(ArchivedMeanwhile):
        looked_at(settings)
    assert verdict(settings) is None


def test_a_late_report_is_none_of_what_lies_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the gate's last look and its word the day is archived once more, and would pass now."""
    archived(settings, "first")
    write_report = quality._write_report

    def late(*arguments: Any) -> str:
        archived(settings, "second")
        return write_report(*arguments)

    monkeypatch.setattr(quality, "_write_report", late)
    with pytest.raises(QualityGateFailed):
        looked_at(settings, "first")
    assert verdict(settings) is None
    with pytest.raises(QualityGateFailed, match="archived anew, and the gate has not looked at it"):
        release(settings, USER_EVENTS, DAY)

"""Which stream jobs a start of the stack submits, while features go live and otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.local import streams
from lamina.local.stack import Stack
from lamina.rollout.generation import Generation
from lamina.rollout.records import Record, live_of, read_records, write_record
from lamina.settings import Settings, load_settings
from tests.unit.rollout.sets import NEW, OLD

OLDER, NEWER = Generation(OLD), Generation(NEW)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(lake_url=str(tmp_path / "lake"))


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the jobs that were submitted; that of the code's own features is `NEWER`'s."""
    found: list[str] = []

    def submit(settings: Settings, generation: Generation, env: object) -> str:
        found.append(generation.job_name)
        return f"id of {generation.job_name}"

    (tmp_path / "code.zip").touch()
    monkeypatch.setattr(streams, "CODE", tmp_path / "code.zip")
    monkeypatch.setattr(streams, "load", lambda name: NEW)
    monkeypatch.setattr(streams, "create_topics", lambda *names: None)
    monkeypatch.setattr(streams, "running_jobs", lambda url: {f"id {name}": name for name in found})
    monkeypatch.setattr(streams, "submit_generation", submit)
    monkeypatch.setattr(streams, "forget_group", lambda settings, own: found.append(f"forgotten: {own.job_name}"))
    monkeypatch.setattr(Stack, "flink_env", lambda self: {})
    return found


def test_the_first_start_makes_the_features_live(settings: Settings, submitted: list[str], tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    assert streams.start_streams(stack, settings, ["fraud"]) == {"fraud": f"id of {NEWER.job_name}"}
    live = live_of(read_records(settings.lake_url, "fraud"))
    assert live is not None
    assert live.generation == NEWER
    assert streams.start_streams(stack, settings, ["fraud"]) == {"fraud": f"id {NEWER.job_name}"}
    assert submitted == [NEWER.job_name]


def test_what_is_read_and_what_is_to_be_read_both_run(settings: Settings, submitted: list[str], tmp_path: Path) -> None:
    write_record(settings.lake_url, Record(OLDER, 1, 2))
    streams.start_streams(Stack(tmp_path / "stack"), settings, ["fraud"])
    # What is not read yet has to catch up from the beginning of the topics.
    assert submitted == [OLDER.job_name, f"forgotten: {NEWER.job_name}", NEWER.job_name]
    records = read_records(settings.lake_url, "fraud")
    assert [(record.id, record.live_ms) for record in records] == [(OLDER.id, 2), (NEWER.id, None)]


def test_without_the_code_nothing_is_submitted(
    settings: Settings, submitted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CODE", tmp_path / "none.zip")
    with pytest.raises(StackError, match=r"run `make dist/code.zip`"):
        streams.start_streams(Stack(tmp_path / "stack"), settings, ["fraud"])
    assert submitted == []

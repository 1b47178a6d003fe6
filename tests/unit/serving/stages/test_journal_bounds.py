"""What the journal takes, when it says that it is full, and what it looks at."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from lamina.monitoring import metrics
from serving.stages.journal import PROBE_BYTES, JournalFull
from serving.stages.segments import JournaledEvent
from tests.unit.serving.stages.test_journal import Clocked, event, opened, waiting


def sized(n: int) -> JournaledEvent:
    """An event whose line has `n` bytes."""
    return JournaledEvent("t", b"k", b"x" * (n - len(b"t\tk\t\n")))


def test_what_people_paid_is_their_servers_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([event(0)])
    journal.keep_undeliverable(event(1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert len(modes) == 4 and set(modes.values()) == {0o600}
    journal.close()


def test_what_is_undeliverable_is_kept_behind_what_was(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    file = journal.keep_undeliverable(event(0))
    assert journal.keep_undeliverable(event(1)) == file
    assert file.read_bytes() == event(0).line + event(1).line
    journal.close()


def test_the_last_byte_is_taken_and_not_one_more(tmp_path: Path) -> None:
    found = Clocked(tmp_path, max_bytes=1000, segment_bytes=10_000)
    found.journal.append([sized(900)])
    with pytest.raises(JournalFull, match="holds 900 bytes that wait for Kafka, of 1000 at most"):
        found.journal.append([sized(101)])
    found.journal.append([sized(100)])
    found.journal.close()


def test_what_was_full_is_so_until_there_is_room_for_many(tmp_path: Path) -> None:
    found = Clocked(tmp_path, max_bytes=16 * PROBE_BYTES)
    places = [found.journal.append([sized(PROBE_BYTES)])[0] for _ in range(15)]
    places += found.journal.append([sized(PROBE_BYTES // 2)])
    assert found.checked() == "", "it still takes events"
    with pytest.raises(JournalFull):
        found.journal.append([sized(PROBE_BYTES)])
    for place in places[:2]:
        assert "at most" in found.checked()
        found.journal.acknowledge(place)
    found.journal.acknowledge(places[2])
    assert found.checked() == ""
    found.journal.close()


def test_within_a_file_no_other_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka acknowledges many times a second."""
    journal = opened(tmp_path)
    journal.acknowledge(journal.acknowledged)
    places = [journal.append([event(n)])[0] for n in range(3)]
    journal.acknowledge(places[0])
    with monkeypatch.context() as blind:
        blind.setattr(Path, "glob", None)
        journal.acknowledge(places[1])
    assert waiting(journal) == [event(2)]
    journal.close()


def test_a_file_that_takes_no_more_is_changed_for_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    journal.append([event(0)])
    broken, write, before = journal._file, os.write, journal.end.segment

    def refuses(descriptor: int, data: bytes) -> int:
        if descriptor == broken:
            raise OSError(errno.EIO, "Input/output error")
        return write(descriptor, data)

    with monkeypatch.context() as one:
        one.setattr(os, "write", refuses)
        one.setattr(os, "close", lambda descriptor: None)  # its number is not given to the new one
        journal.append([event(1)])
    assert journal.end.segment == before + 1 and journal.problem is None
    assert waiting(journal) == [event(0), event(1)]
    journal.close()
    os.close(broken)


def test_an_empty_file_that_takes_nothing_is_no_reason_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    refusals, files = metrics.EVENTS_REFUSED.labels("disk")._value.get(), len(list(tmp_path.glob("*.events")))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as without:
        without.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(JournalFull, match="make room on its disk"):
                journal.append([event(0)])
    assert metrics.EVENTS_REFUSED.labels("disk")._value.get() == refusals + 3
    assert len(list(tmp_path.glob("*.events"))) == files
    journal.append([event(1)])
    assert waiting(journal) == [event(1)]
    journal.close()

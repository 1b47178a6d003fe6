"""Nothing that was written down is lost or overtaken, whatever ends early."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lamina.monitoring import metrics
from serving.stages import journal as journals
from serving.stages import segments
from serving.stages.journal import Journal, JournalFull, Place
from serving.stages.segments import JournaledEvent, JournalTaken


def event(n: int, topic: str = "transactions") -> JournaledEvent:
    return JournaledEvent(topic, f"user-{n}".encode(), f'{{"n":{n},"text":"é\\n\\t"}}'.encode())


def opened(folder: Path, segment_bytes: int = 2**20) -> Journal:
    found = Journal(folder, segment_bytes=segment_bytes)
    found.open()
    return found


def killed(journal: Journal) -> None:
    """The process ends: descriptors close, nothing else happens."""
    for descriptor in (journal._file, journal._mark, journal._lock):
        os.close(descriptor)


def waiting(journal: Journal) -> list[JournaledEvent]:
    return [event for event, _ in journal.read(journal.acknowledged)]


def test_events_come_back_in_order_after_a_kill(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for n in range(5):
        first.append([event(n, f"topic-{n % 2}")])
    killed(first)
    second = opened(tmp_path)
    second.append([event(5)])
    assert waiting(second) == [*(event(n, f"topic-{n % 2}") for n in range(5)), event(5)]
    second.close()


TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_trace_of_an_event_survives_a_kill_and_is_no_part_of_the_event(tmp_path: Path) -> None:
    traced = event(1)._replace(trace=TRACE)
    first = opened(tmp_path)
    first.append([event(0), traced, event(2)])
    killed(first)
    second = opened(tmp_path)
    assert waiting(second) == [event(0), traced, event(2)]
    assert [each.trace for each in waiting(second)] == [b"", TRACE, b""]
    second.close()


@pytest.mark.parametrize("behind", [b"", b"00-0af7", TRACE.upper(), TRACE + b"-1", b"x" + TRACE])
def test_what_is_no_trace_stays_with_the_event(behind: bytes) -> None:
    assert segments.parts_of(b"t\tk\t{}\t" + behind + b"\n") == ("t", b"k", b"{}\t" + behind)


@pytest.mark.parametrize(
    "broken", [b"\n", b"\0" * 4096 + b"\n", b"transactions\tuser\n", b"\0\0ser-1\t{}\t\n", b"\xff\ta\tb\n"]
)
def test_a_line_that_a_loss_of_power_left_holds_nothing_up(tmp_path: Path, broken: bytes) -> None:
    first = opened(tmp_path)
    first.append([event(0)])
    os.write(first._file, broken + event(1).line + broken)
    killed(first)
    second = opened(tmp_path)
    found = list(second.read(second.acknowledged))
    assert [each for each, _ in found] == [event(0), event(1)]
    assert second.oldest_s >= 0 and second.waiting_bytes
    second.acknowledge(found[-1][1])
    assert second._nothing_waits
    second.append([event(2)])
    assert waiting(second) == [event(2)]
    second.close()


def test_what_was_acknowledged_does_not_come_back(tmp_path: Path) -> None:
    first = opened(tmp_path)
    places = [first.append([event(n)])[0] for n in range(5)]
    first.acknowledge(places[2])
    assert [place for _, place in first.read(first.acknowledged)] == places[3:]
    killed(first)
    second = opened(tmp_path)
    assert waiting(second) == [event(3), event(4)]
    second.close()


def test_files_roll_and_go_when_they_are_acknowledged(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=100)
    places = [journal.append([event(n)])[0] for n in range(20)]
    assert waiting(journal) == [event(n) for n in range(20)]
    assert len(list(tmp_path.glob("*.events"))) > 5
    journal.acknowledge(places[-1])
    assert journal.waiting_bytes == 0
    assert len(list(tmp_path.glob("*.events"))) <= 2
    journal.append([event(20)])
    assert waiting(journal) == [event(20)]
    journal.close()


def test_the_mark_survives_when_the_last_file_was_rolled(tmp_path: Path) -> None:
    first = opened(tmp_path, segment_bytes=10)
    first.acknowledge(first.append([event(0)])[0])
    killed(first)
    second = opened(tmp_path)
    assert waiting(second) == []
    second.append([event(1)])
    assert waiting(second) == [event(1)]
    second.close()


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append([event(0)])
    first.append([event(1)])
    killed(first)
    (file,) = tmp_path.glob("*.events")
    file.write_bytes(file.read_bytes()[:-4])
    second = opened(tmp_path)
    second.append([event(2)])
    assert waiting(second) == [event(0), event(2)]
    second.close()


def test_an_end_without_anything_waiting_leaves_no_events(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.acknowledge(journal.append([event(0)])[0])
    journal.close()
    assert not list(tmp_path.glob("*.events"))
    again = opened(tmp_path)
    assert again.end > Place(1, 0)
    again.close()


def test_one_process_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "LOCK_WAIT_S", 0.2)
    journal = opened(tmp_path)
    with pytest.raises(JournalTaken, match="LAMINA_STACK_DIR"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()


class Clocked:
    """A journal with bounds and a hand on its clock."""

    def __init__(self, folder: Path, **bounds: float) -> None:
        self.now_ms = 1_700_000_000_000
        self.journal = Journal(folder, clock=lambda: self.now_ms, **bounds)  # type: ignore[arg-type]
        self.journal.open()

    def append(self, n: int) -> Place:
        return self.journal.append([event(n)])[0]

    def checked(self) -> str:
        """What is wrong after a look; empty when nothing is."""
        self.journal.check()
        return self.journal.problem or ""


def test_size_is_bounded(tmp_path: Path) -> None:
    found = Clocked(tmp_path, max_bytes=1000)
    refusals = metrics.EVENTS_REFUSED.labels("size")._value.get()
    places = []
    with pytest.raises(JournalFull, match="LAMINA_JOURNAL_MAX_BYTES"):
        for n in range(100):
            places.append(found.append(n))
    on_disk = sum(file.stat().st_size for file in tmp_path.glob("*.events"))
    assert 900 < on_disk <= 1000
    assert metrics.EVENTS_REFUSED.labels("size")._value.get() == refusals + 1
    assert waiting(found.journal) == [event(n) for n in range(len(places))], "nothing that was taken is given up"
    assert "see why Kafka takes none" in found.checked()
    found.journal.acknowledge(places[-1])
    assert found.checked() == ""
    found.append(0)
    found.journal.close()


def test_a_file_that_could_not_be_changed_is_once_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors one file grows to the bound, though nothing waits; afterwards it must not stay so."""
    found = Clocked(tmp_path, max_bytes=1000)
    with monkeypatch.context() as without:

        def none_left(number: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        without.setattr(found.journal._segments, "new", none_left)
        with pytest.raises(JournalFull, match="LAMINA_JOURNAL_MAX_BYTES"):
            for n in range(100):
                found.journal.acknowledge(found.append(n))
        assert "at most" in found.checked()
    assert found.checked() == ""
    found.append(0)
    assert waiting(found.journal) == [event(0)]
    found.journal.close()


def test_what_is_not_wholly_written_is_not_read(tmp_path: Path) -> None:
    """A full disk took the first line of two: it is cut off again a moment later, when it may not be with Kafka."""
    journal = opened(tmp_path)
    journal.append([event(0)])
    os.write(journal._file, event(1).line)
    assert waiting(journal) == [event(0)]
    os.ftruncate(journal._file, journal.end.offset)
    journal.append([event(2)])
    assert waiting(journal) == [event(0), event(2)]
    journal.close()


def test_a_part_that_could_not_be_cut_off_is_before_the_next_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.append([event(0)])
    write = os.write

    def some(descriptor: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:-5])

    def none(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", some)
        broken.setattr(os, "ftruncate", none)
        broken.setattr(journal._segments, "new", none)
        with pytest.raises(JournalFull):
            journal.append([event(1)])
    journal.append([event(2)])
    assert waiting(journal) == [event(0), event(2)]
    journal.close()


def test_age_is_bounded(tmp_path: Path) -> None:
    found = Clocked(tmp_path, max_age_s=100)
    first = found.append(0)
    found.now_ms += 50_000
    second = found.append(1)
    assert found.journal.oldest_s == 50
    found.now_ms += 50_000
    found.append(2)
    found.now_ms += 1_000
    with pytest.raises(JournalFull, match="LAMINA_JOURNAL_MAX_AGE_S"):
        found.append(3)
    assert "see why Kafka takes none" in found.checked()
    found.journal.acknowledge(first)
    assert found.journal.oldest_s == 51
    found.append(2)
    assert found.checked() == ""
    found.now_ms += 1000
    found.journal.acknowledge(second)
    assert found.journal.oldest_s <= 10
    found.journal.close()


def test_the_oldest_that_waits_is_the_one_behind_what_is_acknowledged(tmp_path: Path) -> None:
    found = Clocked(tmp_path)
    places = []
    for n in range(4):
        places.append(found.append(n))
        found.now_ms += 20_000
    for acknowledged, oldest_s in zip(places, (60, 40, 20, 0), strict=True):
        found.journal.acknowledge(acknowledged)
        assert found.journal.oldest_s == oldest_s
    found.journal.close()


def test_an_age_is_told_to_ten_seconds(tmp_path: Path) -> None:
    found = Clocked(tmp_path)
    first = found.append(0)
    found.now_ms += 9_999
    second = found.append(1)
    found.journal.acknowledge(first)
    assert found.journal.oldest_s == 9.999, "as of what came up to ten seconds before"
    found.now_ms += 1
    found.append(2)
    found.journal.acknowledge(second)
    assert found.journal.oldest_s == 0
    found.now_ms -= 5_000
    assert found.journal.oldest_s == 0, "though the clock was put back"
    found.journal.close()


def test_a_mark_ahead_of_its_file_leaves_nothing_waiting(tmp_path: Path) -> None:
    """After a failure of the power the file may have less than Kafka has."""
    first = opened(tmp_path)
    first.acknowledge(first.append([event(0)])[0])
    killed(first)
    (file,) = tmp_path.glob("*.events")
    file.write_bytes(b"")
    second = Clocked(tmp_path)
    second.now_ms *= 2
    assert second.journal.waiting_bytes == 0 and second.journal.oldest_s == 0
    second.journal.close()
    assert not list(tmp_path.glob("*.events"))


def test_files_are_ended_by_their_size_and_their_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB or an hour; nothing is written here but the last file's events."""
    found = Clocked(tmp_path)
    first = found.journal.end.segment
    large = JournaledEvent("transactions", b"k", b"x" * (2**20 - len(b"transactions\tk\t\n")))
    with monkeypatch.context() as unwritten:
        unwritten.setattr(os, "write", lambda descriptor, data: len(data))
        for _ in range(63):
            found.journal.append([large])
        assert found.journal.end == Place(first, 63 * 2**20)
        assert found.journal.append([large])[0] == Place(first, 64 * 2**20)
        assert found.journal.end == Place(first + 1, 0)
    found.now_ms += 3_600_000 - 1
    found.append(0)
    assert found.journal.end.segment == first + 1
    found.now_ms += 1
    found.append(1)
    assert found.journal.end == Place(first + 2, 0)
    found.journal.close()


def test_a_journal_that_is_not_open_is_read_as_it_lies_there(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([event(0)])
    assert [each for each, _ in Journal(tmp_path).read(Place(0, 0))] == [event(0)]
    journal.close()


def test_a_disk_that_takes_no_probe_is_said_until_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Clocked(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as without:
        without.setattr(os, "write", full)
        without.setattr(Path, "write_bytes", full)
        with pytest.raises(JournalFull) as refused:
            found.append(0)
        assert refused.value.reason == "disk"
        for _ in range(2):
            assert f"{tmp_path} cannot be written (No space left on device): make room" in found.checked()
    assert found.checked() == "" and not (tmp_path / "probe").exists()
    found.append(1)
    assert waiting(found.journal) == [event(1)]
    found.journal.close()


def test_what_nobody_waited_for_is_not_old(tmp_path: Path) -> None:
    found = Clocked(tmp_path, max_age_s=100)
    found.journal.acknowledge(found.append(0))
    assert found.journal.oldest_s == 0
    found.now_ms += 10_000_000
    assert found.checked() == ""
    found.append(1)
    assert found.journal.oldest_s == 0
    found.append(2)
    found.journal.close()


def test_what_an_earlier_process_left_has_its_age(tmp_path: Path) -> None:
    import os

    first = Clocked(tmp_path)
    first.append(0)
    killed(first.journal)
    (file,) = tmp_path.glob("*.events")
    file.write_bytes(file.read_bytes() + b"cut sh")
    os.utime(file, (first.now_ms / 1000 - 500, first.now_ms / 1000 - 500))
    second = Clocked(tmp_path, max_age_s=100)
    assert second.journal.oldest_s == 500
    with pytest.raises(JournalFull):
        second.append(1)
    (waits,) = second.journal.read(second.journal.acknowledged)
    second.journal.acknowledge(waits[1])
    assert second.journal.oldest_s == 0
    second.append(1)
    second.journal.close()


def test_acknowledged_events_leave_the_disk_though_little_comes(tmp_path: Path) -> None:
    found = Clocked(tmp_path)
    found.journal.acknowledge(found.append(0))
    found.now_ms += journals.SEGMENT_AGE_MS
    found.append(1)
    found.journal.acknowledge(found.append(2))
    assert not [file for file in tmp_path.glob("*.events") if b"user-0" in file.read_bytes()]
    found.journal.close()


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.close()
    with pytest.raises(JournalFull, match="not open"):
        journal.append([event(0)])
    journal.close()


def test_a_failed_close_still_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "read-only")))
    journal.close()
    monkeypatch.undo()
    opened(tmp_path).close()

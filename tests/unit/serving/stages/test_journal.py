"""Nothing that was written down is lost or overtaken, whatever ends early."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.stages import journal as journals
from serving.stages.journal import Journal, JournaledEvent, JournalTaken, Place


def event(n: int, topic: str = "transactions") -> JournaledEvent:
    return JournaledEvent(topic, f"user-{n}".encode(), f'{{"n":{n},"text":"é\\n\\t"}}'.encode())


def opened(folder: Path, segment_bytes: int = 2**20) -> Journal:
    found = Journal(folder, segment_bytes=segment_bytes)
    found.open()
    return found


def killed(journal: Journal) -> None:
    """The process ends: descriptors close, nothing else happens."""
    import os

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
    monkeypatch.setattr(journals, "LOCK_WAIT_S", 0.2)
    journal = opened(tmp_path)
    with pytest.raises(JournalTaken, match="LAMINA_STACK_DIR"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()

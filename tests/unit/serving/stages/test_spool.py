"""Nothing that was spooled is lost, whatever ends early."""

from __future__ import annotations

from pathlib import Path

from serving.stages.spool import Spool, SpooledEvent


def event(n: int, topic: str = "transactions") -> SpooledEvent:
    return SpooledEvent(topic, f"user-{n}".encode(), f'{{"n":{n},"text":"é\\n"}}'.encode())


def replay(spool: Spool) -> list[SpooledEvent]:
    return [e for file in spool.take() for e in spool.read(file)]


def test_events_come_back_in_order_by_topic(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert spool.waiting_bytes() == 0
    sent = [event(n) for n in range(5)] + [event(9, "t1-model-predictions")]
    for each in sent:
        spool.append(each)
    found = replay(spool)
    assert sorted(found, key=lambda e: e.value) == sorted(sent, key=lambda e: e.value)
    assert [e for e in found if e.topic == "transactions"] == sent[:5]


def test_a_replay_that_failed_is_repeated_with_what_came_later(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(event(1))
    assert replay(spool) == [event(1)]
    spool.append(event(2))
    again = Spool(tmp_path)  # another process, after a crash
    files = again.take()
    assert [e for f in files for e in again.read(f)] == [event(1), event(2)]
    for file in files:
        again.remove(file)
    assert again.waiting_bytes() == 0 and again.take() == []


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(event(1))
    with (tmp_path / "transactions.jsonl").open("ab") as file:
        file.write(b'{"key":"user-2","va')
    assert replay(spool) == [event(1)]

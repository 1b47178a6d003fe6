"""What the intake makes of messages; on a real broker it is tried by `tests/integration/test_reviews.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import Message

from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import predictions_of
from lamina.errors import StreamError
from lamina.reviews import intake as intake_module
from lamina.reviews import reading
from lamina.reviews.database import Database, database_url
from lamina.reviews.errors import ReviewsUnavailable
from lamina.reviews.intake import FOUND_S, Intake
from lamina.reviews.queue import ReviewQueue
from lamina.streams.identity import LONGEST_S
from serving.systems.fraud.review import reviewing
from tests.contract.review_queue import Time
from tests.unit.serving.systems.fraud.test_review import BOOK, answer

FRAUD, OTHER = predictions_of("fraud"), predictions_of("activity")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.queue = ReviewQueue(Database(database_url(None, folder)), Time())
        systems = {"fraud": reviewing(lambda: BOOK), "activity": None}
        self.intake = Intake("nowhere:1", "p-", self.queue, systems, Time())
        self.intake._logs = {f"p-{FRAUD}": "fraud-log", f"p-{OTHER}": "other-log"}

    def take(self, *values: bytes, topic: str = FRAUD, first: int = 0) -> int:
        messages = [
            Message(topic=f"p-{topic}", partition=2, offset=first + n, value=value) for n, value in enumerate(values)
        ]
        return self.intake._take(messages)

    @property
    def waiting(self) -> list[str]:
        return [case.request_id for case in reading.waiting(self.queue.database)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.queue.database.close()


def raw(**changes: object) -> bytes:
    return answer(0.7, 20.0).model_copy(update=changes).to_json()


def test_what_waits_becomes_a_case_and_its_offset_is_noted(bench: Bench) -> None:
    assert bench.take(raw(action="approve"), raw(), raw(request_id="r-2", shadow=True), first=7) == 1
    assert bench.waiting == ["r-1"]
    assert bench.queue.read_up_to("fraud-log") == {2: 10}


def test_an_answer_that_only_speaks_of_reviews_is_none(bench: Bench) -> None:
    assert bench.take(raw(action="approve", payload={**answer(0.7, 20.0).payload, "policy": "review"})) == 0


def test_offsets_without_a_case_are_noted_now_and_then(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("lamina.reviews.intake.time.monotonic", lambda: now_s[0])
    bench.take(raw(action="approve"), first=0)
    assert bench.queue.read_up_to("fraud-log") == {2: 1}
    now_s[0] += intake_module.NOTE_EVERY_S - 0.1
    bench.take(raw(action="approve"), first=1)
    assert bench.queue.read_up_to("fraud-log") == {2: 1}
    now_s[0] += 0.1
    bench.take(raw(action="approve"), first=2)
    assert bench.queue.read_up_to("fraud-log") == {2: 3}


def test_what_cannot_be_read_is_a_dead_letter_and_holds_up_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[DeadLetter] = []
    monkeypatch.setattr(
        "lamina.reviews.intake.dead_letters.write", lambda bootstrap, prefix, letters: written.extend(letters)
    )
    assert bench.take(b'{"action":"review"', raw()) == 1
    (letter,) = written
    assert (letter.topic, letter.partition, letter.offset) == (FRAUD, 2, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"payload": {"amount": 20.0}}, "KeyError: 'cost_approve'"),
        ({"payload": {"cost_approve": None}}, "KeyError: 'amount'"),
        ({"payload": {"cost_approve": None, "amount": "much"}}, "AssertionError"),
        ({"event_id": None}, "AssertionError: a payment has an id"),
        ({"subjects": {"user": "u-1"}}, "KeyError: 'merchant'"),
    ],
)
def test_what_no_case_or_label_can_be_made_of_is_a_dead_letter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], reason: str
) -> None:
    written: list[DeadLetter] = []
    monkeypatch.setattr(
        "lamina.reviews.intake.dead_letters.write", lambda bootstrap, prefix, letters: written.extend(letters)
    )
    assert bench.take(raw(request_id="r-9", **changes), raw(), first=4) == 1
    assert bench.waiting == ["r-1"] and bench.queue.read_up_to("fraud-log") == {2: 6}
    (letter,) = written
    assert letter.offset == 4 and reason in letter.reason


def test_a_letter_is_written_once_while_the_database_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(
        "lamina.reviews.intake.dead_letters.write",
        lambda bootstrap, prefix, letters: written.extend(each.offset for each in letters),
    )
    with monkeypatch.context() as away:
        away.setattr(bench.queue, "open", raises)
        for _ in range(3):
            with pytest.raises(ReviewsUnavailable):
                bench.take(raw(event_id=None), raw(), first=4)
    assert bench.take(raw(event_id=None), raw(), raw(event_id=None), first=4) == 1
    assert written == [4, 6]


def raises(*_: object) -> int:
    raise ReviewsUnavailable("away")


def test_the_newest_answers_of_every_system_are_kept(bench: Bench) -> None:
    bench.take(*(b"%d" % n for n in range(intake_module.NEWEST + 5)), topic=OTHER)
    found = bench.intake.newest()
    assert found["fraud"] == [] and len(found["activity"]) == intake_module.NEWEST
    assert found["activity"][-1] == b"%d" % (intake_module.NEWEST + 4)
    assert bench.waiting == []


def test_a_partition_that_went_to_another_process_is_its_to_note(bench: Bench) -> None:
    from confluent_kafka import TopicPartition

    bench.intake._noted_s = float("inf")
    bench.take(raw(action="approve"), first=5)
    bench.intake._revoke(None, [TopicPartition(f"p-{FRAUD}", 2)])  # type: ignore[arg-type]
    assert bench.intake._read == {}


def test_a_step_is_over_soon_where_no_broker_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is told to end waits for it, and is killed after half a minute."""
    waits: list[float] = []

    def away(bootstrap: str, topic: str, within_s: float) -> NoReturn:
        waits.append(within_s)
        raise StreamError("nobody")

    monkeypatch.setattr(intake_module, "identity_of", away)
    with pytest.raises(StreamError, match="nobody"):
        bench.intake.step()
    assert waits == [FOUND_S] and FOUND_S < LONGEST_S / 5

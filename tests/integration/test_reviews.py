"""From the topic of answers to the queue, on a real broker: every answer that waits for a person, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.clock import system_clock
from lamina.contracts.fraud_decisions import DECISION_TOPIC, PREDICTIONS
from lamina.contracts.platform_topics import PLATFORM_TOPICS
from lamina.reviews import reading
from lamina.reviews.database import Database, database_url
from lamina.reviews.intake import Intake
from lamina.reviews.queue import ReviewQueue
from lamina.streams import dead_letters
from lamina.streams.produce import EventProducer
from lamina.streams.topics import create_topics
from serving.systems.fraud.review import reviewing
from tests.unit.serving.systems.fraud.test_review import BOOK, answer

PATIENCE_S = 60.0
REVIEWING = {"fraud": reviewing(lambda: BOOK)}


class Answers:
    """A topic of answers, and queues that are filled from it."""

    def __init__(self, kafka: str, prefix: str, folder: Path) -> None:
        self.kafka, self.prefix, self.folder = kafka, prefix, folder
        create_topics(kafka, prefix, [DECISION_TOPIC.topic, *PLATFORM_TOPICS])

    def send(self, *numbers: int, action: str = "review", shadow: bool = False) -> None:
        made = [
            answer(0.7, 10.0 + n).model_copy(
                update={"request_id": f"r-{n}", "event_id": f"t-{n}", "action": action, "shadow": shadow}
            )
            for n in numbers
        ]
        self.send_bytes(*(each.to_json() for each in made))

    def send_bytes(self, *raw: bytes) -> None:
        with EventProducer(self.kafka, self.prefix) as producer:
            for n, each in enumerate(raw):
                producer.send_bytes(PREDICTIONS, str(n).encode(), each)
            producer.flush()

    def queue(self, name: str = "one") -> ReviewQueue:
        return ReviewQueue(Database(database_url(None, self.folder / name)), system_clock)

    def intake(self, queue: ReviewQueue) -> Intake:
        return Intake(self.kafka, self.prefix, queue, REVIEWING, system_clock)


@pytest.fixture
def answers(kafka: str, topic_prefix: str, tmp_path: Path) -> Answers:
    return Answers(kafka, topic_prefix, tmp_path)


def until(done: Callable[[], bool], *intakes: Intake) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        for intake in intakes:
            intake.step()


def waiting(queue: ReviewQueue) -> list[str]:
    return sorted(case.request_id for case in reading.waiting(queue.database, most=1000))


@pytest.mark.services
def test_what_waits_for_a_person_is_in_the_queue_once(answers: Answers) -> None:
    queue = answers.queue()
    answers.send(1, 2)
    answers.send(3, action="approve")
    answers.send(4, shadow=True)
    answers.send(2)  # delivered again
    answers.send_bytes(b'{"action":"review","system":7}')
    first = answers.intake(queue)
    until(lambda: len(waiting(queue)) == 2 and letters(answers) == 1, first)
    first.close()
    answers.send(5)
    again = answers.intake(queue)
    until(lambda: waiting(queue) == ["r-1", "r-2", "r-5"], again)
    again.close()
    assert letters(answers) == 1, "a restart goes on where the one before was"


@pytest.mark.services
def test_two_processes_fill_one_queue(answers: Answers) -> None:
    queue = answers.queue()
    both = [answers.intake(queue), answers.intake(queue)]
    answers.send(*range(50))
    until(lambda: len(waiting(queue)) == 50, *both)
    both[0].close()
    answers.send(*range(50, 60))
    until(lambda: len(waiting(queue)) == 60, both[1])
    both[1].close()


@pytest.mark.services
def test_an_empty_database_is_filled_from_the_beginning(answers: Answers) -> None:
    answers.send(1, 2, 3)
    for name in ("one", "another"):
        queue = answers.queue(name)
        intake = answers.intake(queue)
        until(lambda queue=queue: len(waiting(queue)) == 3, intake)  # type: ignore[misc]
        intake.close()


@pytest.mark.services
def test_a_database_that_fails_for_a_while_loses_nothing(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = answers.queue()
    intake = answers.intake(queue)
    answers.send(1, 2, 3)
    opened = queue.open
    failures: list[int] = []

    def fails_once(*given: object) -> int:
        if not failures:
            failures.append(1)
            raise OSError("the disk is full")
        return opened(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "open", fails_once)
    deadline = time.monotonic() + PATIENCE_S
    while len(waiting(queue)) < 3:
        assert time.monotonic() < deadline
        try:
            intake.step()
        except OSError:
            assert failures
    intake.close()
    assert failures == [1]


def letters(answers: Answers) -> int:
    return sum(1 for _ in dead_letters.read(answers.kafka, answers.prefix, PREDICTIONS))

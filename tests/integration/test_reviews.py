"""From the topic of answers to the queue, on a real broker: every answer that waits for a person, once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks.messages import consume
from lamina.clock import system_clock
from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.fraud_decisions import DECISION_TOPIC, PREDICTIONS
from lamina.contracts.platform_topics import PLATFORM_TOPICS
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.registry.memory import MemoryRegistry
from lamina.reviews import reading
from lamina.reviews.database import Database, database_url
from lamina.reviews.intake import Intake
from lamina.reviews.queue import ReviewQueue
from lamina.settings import Settings
from lamina.streams import dead_letters
from lamina.streams.produce import EventProducer
from lamina.streams.topics import create_topics
from serving.systems.fraud.review import reviewing
from tests.integration.serving import decide, free_port, running
from tests.integration.serving import until as until_true
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


@pytest.mark.services
def test_a_payment_is_reviewed_and_what_was_said_is_published(
    kafka: str, clean_redis: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Through the API itself: the decision, the queue, the verdict on a page, the events that it becomes."""
    settings = Settings(
        api_port=free_port(),
        kafka_bootstrap=kafka,
        redis_url=SecretStr(clean_redis),
        topic_prefix=topic_prefix,
        stack_dir=tmp_path / "stack",
        lake_url=str(tmp_path / "lake"),
        review_undo_s=0,
        # Under whatever else this machine does.
        redis_timeout_ms=1_000,
        decision_deadline_ms=10_000,
    )
    create_topics(kafka, topic_prefix)
    with running(settings, MemoryRegistry(tmp_path / "registry")) as (client, service):
        answer = decide(client, country="KP", user_country="KP")
        assert answer["action"] == "review"
        assert client.post("/console/sign-in", data={"name": "ann"}).status_code == 303

        def looked() -> str:
            return client.get("/console/queue").text

        until_true(lambda: "user-00000153" in looked(), within_s=PATIENCE_S)
        token = re.findall(r'name="form_token" value="([^"]+)"', looked())[0]
        case = client.post("/console/queue/next", data={"form_token": token}).headers["location"]
        page = client.get(case)
        assert "high_risk_country" in page.text and "KP" in page.text
        said = client.post(f"{case}/verdict", data={"form_token": token, "verdict": "reject", "note": "called him"})
        assert said.status_code == 303
        until_true(lambda: bool(consume(settings, FRAUD_LABELS)), within_s=PATIENCE_S)
        assert "newest answers of fraud" in client.get("/console/").text.lower()
        until_true(lambda: service.background.problems is None, within_s=PATIENCE_S)
        service.reviews.publish()
    (label,) = [FraudLabel.from_json(value) for _, value in consume(settings, FRAUD_LABELS)]
    (feedback,) = [Feedback.from_json(value) for _, value in consume(settings, MODEL_FEEDBACK)]
    assert (label.transaction_id, label.is_fraud, label.source) == (answer["transaction_id"], True, "analyst")
    assert (feedback.request_id, feedback.author, feedback.action) == (answer["request_id"], "ann", "reject")
    assert label.timestamp == feedback.timestamp

"""Labels of verdicts: sent once, never lost, never before they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.definitions.fraud import SYSTEM as FRAUD
from lamina.monitoring import metrics
from lamina.reviews import reading
from lamina.settings import Settings
from serving.reviews import Reviews, make_reviews
from serving.stages.journal import JournalFull
from serving.stages.log import Outgoing
from serving.systems.fraud.review import reviewing
from tests.unit.serving.recognisable import KeptEvents
from tests.unit.serving.systems.fraud.test_review import BOOK, answer


class Bench:
    def __init__(self, folder: Path, **changes: object) -> None:
        self.now_ms = 1_735_689_600_000
        self.events = KeptEvents(folder)
        settings = Settings.model_validate({"stack_dir": folder} | changes)
        self.reviews: Reviews = make_reviews(
            settings, {"fraud": reviewing(lambda: BOOK)}, self.events, lambda: self.now_ms
        )

    def open(self, *requests: str) -> None:
        cases = [
            self.reviews.reviewing["fraud"].case(
                answer(0.7, 20.0).model_copy(update={"request_id": each, "event_id": f"t-{each}"})
            )
            for each in requests
        ]
        self.reviews.queue.open(cases)

    def decide(self, analyst: str, verdict: str) -> None:
        case = self.reviews.queue.take(analyst)
        assert case is not None
        self.reviews.queue.decide(analyst, case.case_id, verdict)  # type: ignore[arg-type]

    @property
    def feedback(self) -> list[Feedback]:
        return [Feedback.from_json(value) for topic, value in self.events.kept if topic == MODEL_FEEDBACK]

    @property
    def labels(self) -> list[FraudLabel]:
        return [FraudLabel.from_json(value) for topic, value in self.events.kept if topic == FRAUD_LABELS]


def test_a_label_is_sent_once_the_minute_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.open("r-1")
    said_ms = bench.now_ms
    bench.decide("ann", "reject")
    bench.now_ms += 59_999
    assert (bench.reviews.publish(), bench.labels) == (0, [])
    bench.now_ms += 1
    assert bench.reviews.publish() == 1
    assert bench.reviews.publish() == 0
    (label,) = bench.labels
    (said,) = bench.feedback
    assert (said.system, said.request_id, said.event_id) == ("fraud", "r-1", "t-r-1")
    assert (said.action, said.source, said.author, said.timestamp) == ("reject", "analyst", "ann", said_ms)
    assert FRAUD.feedback is not None and FRAUD.feedback.says(said.action, None) == 1
    assert (label.transaction_id, label.is_fraud, label.source, label.timestamp) == ("t-r-1", True, "analyst", said_ms)


def test_what_the_journal_does_not_take_is_sent_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    bench.open("r-1", "r-2")
    bench.decide("ann", "reject")
    bench.decide("ann", "approve")
    bench.now_ms += 60_000
    taken = bench.events.publish_all

    def full(outgoing: Sequence[Outgoing]) -> None:
        if bench.events.kept:
            raise JournalFull("disk", "the disk is full")
        taken(outgoing)

    monkeypatch.setattr(bench.events, "publish_all", full)
    with pytest.raises(JournalFull):
        bench.reviews.publish()
    assert len(bench.labels) == 1
    monkeypatch.undo()
    assert bench.reviews.publish() == 2
    first, *rest = bench.labels
    assert first == rest[0], "the one that went before is sent again as the same event"
    assert len({said.feedback_id for said in bench.feedback}) == 2 and len(bench.feedback) == 3
    assert {label.transaction_id for label in bench.labels} == {"t-r-1", "t-r-2"}


def test_the_queue_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.open("r-1", "r-2")
    bench.decide("ann", "escalate")
    bench.reviews.count()
    found = {
        state: metrics.REVIEW_CASES.labels("fraud", state)._value.get() for state in ("open", "escalated", "decided")
    }
    assert found == {"open": 1, "escalated": 1, "decided": 0}


def test_times_come_from_the_settings(tmp_path: Path) -> None:
    bench = Bench(tmp_path, review_lease_s=20, review_undo_s=0)
    bench.open("r-1")
    case = bench.reviews.queue.take("ann")
    assert case is not None and case.held_until == bench.now_ms + 20_000
    bench.reviews.queue.decide("ann", case.case_id, "approve")
    assert bench.reviews.publish() == 1
    assert reading.case(bench.reviews.queue.database, case.case_id).verdicts[0].published_at == bench.now_ms


@pytest.mark.parametrize(("problem", "steps"), [(None, 1), ("Kafka does not answer", 0)])
def test_kafka_that_is_away_is_no_failure_of_the_intake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str | None, steps: int
) -> None:
    bench, taken = Bench(tmp_path), list[int]()
    monkeypatch.setattr(KeptEvents, "problem", problem)
    monkeypatch.setattr(bench.reviews.intake, "step", lambda: taken.append(1))
    asyncio.run(bench.reviews.take_in())
    assert len(taken) == steps

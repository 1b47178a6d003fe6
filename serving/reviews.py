"""The review queue beside what serves: fills it, publishes what people said, keeps its figures. Control path."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import get_args

from lamina.clock import Clock
from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.monitoring import metrics
from lamina.reviews import reading
from lamina.reviews.cases import ANALYST, Case, Reviewing, State, Verdict
from lamina.reviews.database import Database, database_url
from lamina.reviews.intake import Intake
from lamina.reviews.queue import QueueOptions, ReviewQueue
from lamina.settings import Settings
from serving.stages.log import EventLog, Outgoing
from serving.supervision import Background

INTAKE_S, PUBLISH_S, COUNT_S = 1.0, 2.0, 15.0


@dataclass(frozen=True)
class Reviews:
    """The queue, and what moves answers into it and labels out of it. `reviewing` is by system."""

    queue: ReviewQueue
    reviewing: Mapping[str, Reviewing]
    intake: Intake
    events: EventLog

    def keep(self, background: Background) -> None:
        """Do all of it while requests are served."""
        background.every(INTAKE_S, "review intake", self.take_in)
        background.every(PUBLISH_S, "review labels", lambda: asyncio.to_thread(self.publish))
        background.every(COUNT_S, "review counts", lambda: asyncio.to_thread(self.count))

    async def take_in(self) -> None:
        """Read what has come; nothing while Kafka is known to be away, which its own line of the readiness says."""
        if self.events.problem is None:
            await asyncio.to_thread(self.intake.step)

    def publish(self) -> int:
        """Publish the verdicts that can no longer be taken back; returns how many.

        A verdict is the same bytes whenever it is sent: where a process dies in between, the second is a repetition of
        the first, and a label that is repeated counts once.
        """
        return self.queue.publish(self._send, tuple(self.reviewing))

    def count(self) -> None:
        """Set the figures of the queue."""
        found = reading.counts(self.queue.database)
        for system in self.reviewing:
            for state in get_args(State):
                metrics.REVIEW_CASES.labels(system, state).set(found.get(system, {}).get(state, 0))

    def _send(self, case: Case, verdict: Verdict) -> None:
        assert verdict.verdict != "escalate", "no answer"
        said = feedback_of(case, verdict)
        more = self.reviewing[case.system].labels(case.served, verdict.verdict, verdict.at_ms)
        self.events.publish_all(
            [Outgoing(MODEL_FEEDBACK, said.key, said.to_json()), *(Outgoing(*each) for each in more)]
        )
        metrics.REVIEW_LABELS.labels(case.system, verdict.verdict).inc()

    async def close(self) -> None:
        """Leave the topics and the database."""
        await asyncio.to_thread(self.intake.close)
        self.queue.database.close()


def feedback_of(case: Case, verdict: Verdict) -> Feedback:
    """What a verdict says of the answer, with its author and time. Sent again it is the same, and counts once."""
    # A database that was made anew numbers its verdicts from 1 again.
    number = sha256(f"{case.request_id}/{verdict.verdict_id}/{verdict.at_ms}".encode()).hexdigest()[:32]
    return Feedback(
        system=case.system,
        feedback_id=f"review-{number}",
        request_id=case.request_id,
        event_id=case.event_id,
        subjects=dict(case.subjects),
        prediction=case.score,
        action=verdict.verdict,
        source=ANALYST,
        author=verdict.author,
        timestamp=verdict.at_ms,
    )


def make_reviews(
    settings: Settings, reviewing: Mapping[str, Reviewing | None], events: EventLog, clock: Clock
) -> Reviews:
    """The parts, connected by `settings`; nothing is opened. `reviewing` has every system that is served.

    Raises: ReviewsUnavailable: the database's URL cannot be right.
    """
    url = None if settings.reviews_url is None else settings.reviews_url.get_secret_value()
    options = QueueOptions(
        lease_ms=1000 * settings.review_lease_s,
        undo_ms=1000 * settings.review_undo_s,
        teach_share=settings.review_teach_share,
        seed=settings.review_seed,
    )
    queue = ReviewQueue(Database(database_url(url, settings.stack_dir)), clock, options)
    intake = Intake(settings.kafka_bootstrap, settings.topic_prefix, queue, reviewing, clock)
    return Reviews(queue, {name: each for name, each in reviewing.items() if each is not None}, intake, events)

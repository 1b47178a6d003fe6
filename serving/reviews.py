"""The review queue beside what serves: fills it, publishes what people said, keeps its figures. Control path."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from lamina.clock import Clock
from lamina.monitoring import metrics
from lamina.reviews import reading
from lamina.reviews.cases import Case, Reviewing, Verdict
from lamina.reviews.database import Database, database_url
from lamina.reviews.intake import Intake
from lamina.reviews.queue import QueueOptions, ReviewQueue
from lamina.settings import Settings
from serving.stages.log import EventLog
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
        """Do all of it while requests are served; nothing where no answer waits for a person."""
        if not self.reviewing:
            return
        background.every(INTAKE_S, "review intake", lambda: asyncio.to_thread(self.intake.step))
        background.every(PUBLISH_S, "review labels", lambda: asyncio.to_thread(self.publish))
        background.every(COUNT_S, "review counts", lambda: asyncio.to_thread(self.count))

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
            for state in ("open", "escalated", "decided"):
                metrics.REVIEW_CASES.labels(system, state).set(found.get(system, {}).get(state, 0))

    def _send(self, case: Case, verdict: Verdict) -> bool:
        assert verdict.verdict != "escalate", "no answer"
        label = self.reviewing[case.system].label(case.served, verdict.verdict, verdict.author, verdict.at_ms)
        if label is None:
            return False
        self.events.publish(label.topic, label.key, label.value)
        metrics.REVIEW_LABELS.labels(case.system, verdict.verdict).inc()
        return True

    async def close(self) -> None:
        """Leave the topics and the database."""
        await asyncio.to_thread(self.intake.close)
        self.queue.database.close()


def make_reviews(settings: Settings, reviewing: Mapping[str, Reviewing], events: EventLog, clock: Clock) -> Reviews:
    """The parts, connected by `settings`; nothing is opened.

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
    return Reviews(queue, reviewing, intake, events)

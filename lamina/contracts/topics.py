"""The topics of Kafka: name, contract, partitions, and how long each is kept."""

from __future__ import annotations

from dataclasses import dataclass

TRANSACTIONS = "transactions"
USER_EVENTS = "user-events"
MODEL_PREDICTIONS = "model-predictions"
SHADOW_SCORES = "shadow-scores"
MODEL_FEEDBACK = "model-feedback"
FEATURE_TILES = "feature-tiles"
DEAD_LETTERS = "dead-letters"

WEEK_MS = 7 * 86_400_000
LETTER_BYTES = 4 * 2**20
"""Largest dead letter: any message of a topic with Kafka's own limit (1 MiB) fits, in base64 and with its reason."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is created. `retention_ms` of None keeps the newest value of every key (compaction).

    `max_bytes`: the largest message; None leaves it to the broker, 1 MiB.
    """

    name: str
    partitions: int = 4
    retention_ms: int | None = WEEK_MS
    max_bytes: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it."""
        size = {} if self.max_bytes is None else {"max.message.bytes": str(self.max_bytes)}
        if self.retention_ms is None:
            return {"cleanup.policy": "compact", "compression.type": "lz4", **size}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), "compression.type": "lz4", **size}


TOPICS: tuple[Topic, ...] = (
    Topic(TRANSACTIONS),
    Topic(USER_EVENTS),
    Topic(MODEL_PREDICTIONS),
    Topic(SHADOW_SCORES, partitions=1),
    Topic(MODEL_FEEDBACK),
    Topic(FEATURE_TILES, retention_ms=None),
    Topic(DEAD_LETTERS, partitions=1, retention_ms=4 * WEEK_MS, max_bytes=LETTER_BYTES),
)

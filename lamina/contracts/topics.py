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


@dataclass(frozen=True)
class Topic:
    """A topic as it is created. `retention_ms` of None keeps the newest value of every key (compaction)."""

    name: str
    partitions: int = 4
    retention_ms: int | None = WEEK_MS

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it."""
        if self.retention_ms is None:
            return {"cleanup.policy": "compact", "compression.type": "lz4"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), "compression.type": "lz4"}


TOPICS: tuple[Topic, ...] = (
    Topic(TRANSACTIONS),
    Topic(USER_EVENTS),
    Topic(MODEL_PREDICTIONS),
    Topic(SHADOW_SCORES, partitions=1),
    Topic(MODEL_FEEDBACK),
    Topic(FEATURE_TILES, retention_ms=None),
    Topic(DEAD_LETTERS, partitions=1, retention_ms=4 * WEEK_MS),
)

"""What a topic of Kafka is, and the platform's own; those of a system's events are in its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lamina.contracts.base import Event
from lamina.contracts.expectations import Suite
from lamina.errors import DefinitionError

FEATURE_TILES = "feature-tiles"
DEAD_LETTERS = "dead-letters"

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
TILES_MS = 4 * DAY_MS
"""How long tiles stay on their topic: the three days for which the speed layer keeps a key, and one for whoever fills
an empty Redis from it.
"""
SEGMENT_MS = DAY_MS // 4
"""Kafka deletes whole segments, and of a topic of little traffic the newest would stay for a week."""
LETTER_BYTES = 4 * 2**20
"""Largest dead letter: any message of a topic with Kafka's own limit (1 MiB) fits, in base64 and with its reason."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is created and kept.

    compacted: of every key the newest value alone is kept, for as long as `retention_ms` after the broker has taken
    it, whatever time the message itself names.
    max_bytes: the largest message; None leaves it to the broker, 1 MiB.
    """

    name: str
    partitions: int = 4
    retention_ms: int = WEEK_MS
    compacted: bool = False
    max_bytes: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it.

        >>> Topic("tiles", compacted=True).config["cleanup.policy"]
        'compact,delete'
        """
        found = {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), "compression.type": "lz4"}
        if self.compacted:
            found["cleanup.policy"] = "compact,delete"
            found["message.timestamp.type"] = "LogAppendTime"
            found["segment.ms"] = str(SEGMENT_MS)
        if self.max_bytes is not None:
            found["max.message.bytes"] = str(self.max_bytes)
        return found


@dataclass(frozen=True, kw_only=True)
class EventTopic:
    """A topic of events that is kept in the lake: how it is kept in Kafka, what is on it, what a day must look like.

    `older` reads what an older version wrote under another contract, as an event of this one. It raises `ContractError`
    where it cannot.
    """

    topic: Topic
    contract: type[Event]
    suite: Suite
    older: Callable[[bytes], Event] | None = None

    def __post_init__(self) -> None:
        if self.suite.topic != self.name:
            raise DefinitionError(f"topic {self.name!r} has the suite of {self.suite.topic!r}: give it its own")

    @property
    def name(self) -> str:
        """The topic's name, without prefix."""
        return self.topic.name


def predictions_of(system: str) -> str:
    """The topic of everything that a system's model answered.

    >>> predictions_of("fraud")
    'predictions-fraud'
    """
    return f"predictions-{system}"

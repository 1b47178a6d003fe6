"""The platform's own topics, which are nobody's events: what is said about them stands here alone."""

from __future__ import annotations

from collections.abc import Mapping

from lamina.contracts.base import Event
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.feedback import FEEDBACK_TOPIC
from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, LETTER_BYTES, TILES_MS, WEEK_MS, EventTopic, Topic

PLATFORM_EVENTS: tuple[EventTopic, ...] = (FEEDBACK_TOPIC,)
"""Events that any system may have, and that are kept in the lake."""

PLATFORM_TOPICS: tuple[Topic, ...] = (
    Topic(FEATURE_TILES, retention_ms=TILES_MS, compacted=True),
    Topic(DEAD_LETTERS, partitions=1, retention_ms=4 * WEEK_MS, max_bytes=LETTER_BYTES),
    *(events.topic for events in PLATFORM_EVENTS),
)

PLATFORM_CONTRACTS: Mapping[str, type[Event]] = {
    DEAD_LETTERS: DeadLetter,
    **{events.name: events.contract for events in PLATFORM_EVENTS},
}
"""Contracts of those that carry events; tiles are no events."""

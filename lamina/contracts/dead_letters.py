"""A message that could not be processed (topic `dead-letters`)."""

from __future__ import annotations

from lamina.contracts.base import EpochMs, Event


class DeadLetter(Event):
    """A message that could not be processed: why, where it was found, and its bytes (base64), to be replayed."""

    topic: str
    partition: int
    offset: int
    reason: str
    raw: str
    timestamp: EpochMs

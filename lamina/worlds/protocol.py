"""What every simulated world is: days of events, made from a seed, whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Protocol

import pyarrow as pa

from lamina.errors import LaminaError


class WorldError(LaminaError):
    """A world that cannot be, or a day that it does not have."""


class World(Protocol):
    """`days` days of events from midnight UTC of `start`; day `n` depends on the world's seed and `n` alone."""

    start: date
    days: int

    def day(self, n: int) -> Mapping[str, pa.Table]:
        """What arrives on day `n`, by topic, each in time order and with the columns that the lake has for the topic.

        Raises: WorldError: when the world has no such day.
        """

    def truth(self, n: int) -> pa.Table:
        """What a model is to find out about the events of day `n`: ids, and what is true of each, in two columns."""

    def date_of(self, n: int) -> date:
        """The UTC date of day `n`."""
        return self.start + timedelta(days=n)

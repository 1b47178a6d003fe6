"""Lengths of time as definitions write them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time in whole seconds, with the label that feature names carry.

    >>> hours(1).label, days(30).ms
    ('1h', 2592000000)
    """

    s: int
    label: str

    @property
    def ms(self) -> int:
        """The same length in milliseconds."""
        return self.s * 1000


def seconds(n: int) -> Duration:
    """A duration of `n` seconds."""
    return Duration(n, f"{n}s")


def minutes(n: int) -> Duration:
    """A duration of `n` minutes."""
    return Duration(60 * n, f"{n}m")


def hours(n: int) -> Duration:
    """A duration of `n` hours."""
    return Duration(3600 * n, f"{n}h")


def days(n: int) -> Duration:
    """A duration of `n` days."""
    return Duration(86_400 * n, f"{n}d")


NO_TIME = Duration(0, "0s")


@dataclass(frozen=True)
class Window:
    """A window with a resolution of its own, such as the days of a quarter beside the seconds of an hour.

    >>> Window(days(90), resolution=days(1)).length.label
    '90d'
    """

    length: Duration
    resolution: Duration

"""Who watches in the recommendation world and which channels there are: drawn once from the seed, and then only read.

Arrays are indexed by viewer or channel number; a number becomes an id (`viewer-0000012`) only when a table is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.clock import DAY_MS
from lamina.definitions.recommendation import CATEGORIES
from lamina.worlds.recommendation.drawn import Array, chosen

DEVICES = ("mobile", "desktop", "tv")
TAGS_A_CATEGORY = 8
TAGS = tuple(f"{category}-{n}" for category in CATEGORIES for n in range(TAGS_A_CATEGORY))
FAVOURITES = 2
FOLLOW_SLOTS = 12
INTERESTS = 3
SIGN_UP_DAYS = 60
"""Who is not there from the beginning signs up within so many days of it."""
THERE_FROM_THE_BEGINNING = 0.75
FOLLOWED_FROM_THE_BEGINNING = 0.5
FOLLOWS_AFTER_DAYS, FOLLOWS_FOR_DAYS = 20.0, 200.0
BEGINNING_MS = 60_000
"""What was there before the first day is told in its first minute."""


@dataclass(frozen=True)
class Channels:
    """Channels by number. `quality` makes people watch: mean 0, spread 1; `size` is a weight, most have little."""

    category: Array
    quality: Array
    size: Array

    def __len__(self) -> int:
        """Number of channels."""
        return len(self.category)


@dataclass(frozen=True)
class Viewers:
    """Viewers by number.

    taste: float32[viewers, categories], mean about 0; tags: float32[viewers, TAGS]; per_day: expected sessions on a
    day; peak_h: hour around which the viewer is about, UTC; device: the usual one, a place in `DEVICES`; signup_ms;
    interests: int8[viewers, INTERESTS], categories named at the sign-up. Of each slot of `FOLLOW_SLOTS`: the channel
    that is followed, from when and to when, epoch ms; a viewer may have one in two slots.
    """

    taste: Array
    tags: Array
    per_day: Array
    peak_h: Array
    device: Array
    signup_ms: Array
    interests: Array
    followed: Array
    from_ms: Array
    to_ms: Array

    def __len__(self) -> int:
        """Number of viewers."""
        return len(self.per_day)

    def follow(self, viewer: Array, channel: Array, time_ms: Array) -> Array:
        """Whether each viewer follows the channel at the time, bool[n]."""
        time = time_ms[:, None]
        now = (self.from_ms[viewer] <= time) & (time < self.to_ms[viewer])
        return np.asarray((now & (self.followed[viewer] == channel[:, None])).any(axis=1))


def build_channels(count: int, rng: np.random.Generator) -> Channels:
    """`count` channels, each category with at least one where there are as many."""
    return Channels(
        category=rng.permutation(np.arange(count) % len(CATEGORIES)).astype(np.int8),
        quality=rng.standard_normal(count).astype(np.float32),
        size=(1.0 / (1.0 + rng.permutation(count)) ** 0.6).astype(np.float32),
    )


def build_viewers(count: int, per_day: float, channels: Channels, start_ms: int, rng: np.random.Generator) -> Viewers:
    """`count` viewers who come `per_day` times a day on average; the first are there from `start_ms` on."""
    taste = rng.normal(0.0, 0.8, (count, len(CATEGORIES)))
    rows = np.arange(count)
    for _ in range(FAVOURITES):
        taste[rows, rng.integers(0, len(CATEGORIES), count)] += 1.6
    late_ms = rng.integers(BEGINNING_MS, SIGN_UP_DAYS * DAY_MS, count)
    early_ms = rng.integers(0, BEGINNING_MS // 2, count)
    signup_ms = start_ms + np.where(rng.random(count) < THERE_FROM_THE_BEGINNING, early_ms, late_ms)
    said = taste + rng.normal(0.0, 0.6, taste.shape)
    followed, from_ms, to_ms = _follows(taste, channels, signup_ms, start_ms, rng)
    return Viewers(
        taste=taste.astype(np.float32),
        tags=rng.standard_normal((count, len(TAGS))).astype(np.float32),
        per_day=(per_day * np.clip(rng.gamma(1.5, 1 / 1.5, count), 0.1, 5)).astype(np.float32),
        peak_h=np.where(rng.random(count) < 0.65, rng.normal(20.0, 2.0, count), rng.normal(9.0, 3.0, count)) % 24,
        device=rng.choice(len(DEVICES), count, p=[0.6, 0.25, 0.15]).astype(np.int8),
        signup_ms=signup_ms,
        interests=np.argsort(-said, axis=1)[:, :INTERESTS].astype(np.int8),
        followed=followed,
        from_ms=from_ms,
        to_ms=to_ms,
    )


def _follows(
    taste: Array, channels: Channels, signup_ms: Array, start_ms: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Channel, beginning and end of each slot: channels of liked categories, good and large ones more often."""
    count, shape = len(taste), (len(taste), FOLLOW_SLOTS)
    of_category = [np.flatnonzero(channels.category == c) for c in range(len(CATEGORIES))]
    weight = channels.size * np.exp(0.5 * channels.quality)
    liking = np.cumsum(np.exp(1.2 * taste) * [len(own) > 0 for own in of_category], axis=1)
    followed = np.empty(shape, dtype=np.int32)
    for slot in range(FOLLOW_SLOTS):
        category, u = chosen(liking, rng.random(count)), rng.random(count)
        for c, own in enumerate(of_category):
            who = np.flatnonzero(category == c)
            if len(who):
                shares = np.cumsum(weight[own])
                followed[who, slot] = own[np.searchsorted(shares, u[who] * shares[-1], side="right")]
    signed = np.broadcast_to(signup_ms[:, None], shape)
    old = (signed < start_ms + BEGINNING_MS) & (rng.random(shape) < FOLLOWED_FROM_THE_BEGINNING)
    at_once = signed + rng.integers(1, BEGINNING_MS // 2, shape)
    later = signed + BEGINNING_MS + (rng.exponential(FOLLOWS_AFTER_DAYS * DAY_MS, shape)).astype(np.int64)
    from_ms = np.where(old, at_once, later)
    return followed, from_ms, from_ms + (rng.exponential(FOLLOWS_FOR_DAYS * DAY_MS, shape)).astype(np.int64) + 1

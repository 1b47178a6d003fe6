"""The videos of the recommendation world: those of the beginning, and each day's uploads.

A video is talked about more and more until its peak, and less and less from then on; some are taken away one day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.clock import DAY_MS
from lamina.worlds.columns import Columns
from lamina.worlds.recommendation.drawn import Array
from lamina.worlds.recommendation.population import BEGINNING_MS, TAGS_A_CATEGORY, Channels

QUALITIES = (360, 720, 1080, 2160)
TAGS_A_VIDEO = 3
SENSITIVE, REMOVED = 0.05, 0.25
STAYS_DAYS = 25.0
"""Of those that are removed: how long they stay, on average."""
LONGEST_S = 1200.0
OLDEST_DAYS = 30


@dataclass
class Videos(Columns):
    """Videos by number.

    tags: int16[videos, TAGS_A_VIDEO], places in `TAGS`; appeal: makes people watch, mean 0, spread 1; popular: a weight
    by which it is shown, most have little; told_ms: when the catalogue tells of it; born_ms: before that where it was
    there already; removed_ms: when it is taken away; peak_ms: from its birth to its peak; trend: how high that is.
    """

    channel: Array
    category: Array
    tags: Array
    duration_s: Array
    quality: Array
    sensitive: Array
    appeal: Array
    popular: Array
    told_ms: Array
    born_ms: Array
    removed_ms: Array
    peak_ms: Array
    trend: Array

    def heat(self, video: Array, time_ms: Array) -> Array:
        """How much each video is talked about at its time, float64[n]: `trend` at the peak, 0 before its birth.

        With the age as a share x of the time to the peak it is x * exp(1 - x) of `trend`.
        """
        share = np.maximum(time_ms - self.born_ms[video], 0) / self.peak_ms[video]
        return np.asarray(self.trend[video] * share * np.exp(1.0 - share))

    def there(self, from_ms: int, to_ms: int) -> Array:
        """Which can be shown in all of this time, bool[videos]: told of, not removed, not sensitive."""
        return np.asarray((self.told_ms <= from_ms) & (self.removed_ms > to_ms) & ~self.sensitive)


def first_videos(count: int, channels: Channels, start_ms: int, rng: np.random.Generator) -> Videos:
    """The `count` videos that are there when the world begins; the catalogue tells of them in its first minute."""
    born_ms = start_ms - rng.integers(0, OLDEST_DAYS * DAY_MS, count)
    return _videos(np.sort(start_ms + rng.integers(0, BEGINNING_MS, count)), born_ms, channels, rng)


def uploads(count: int, channels: Channels, midnight_ms: int, rng: np.random.Generator) -> Videos:
    """The `count` videos that are uploaded in the day at `midnight_ms`."""
    told_ms = np.sort(midnight_ms + rng.integers(BEGINNING_MS, DAY_MS, count))
    return _videos(told_ms, told_ms, channels, rng)


def _videos(told_ms: Array, born_ms: Array, channels: Channels, rng: np.random.Generator) -> Videos:
    count = len(told_ms)
    weight = np.cumsum(channels.size)
    channel = np.searchsorted(weight, rng.random(count) * weight[-1], side="right").astype(np.int32)
    category = channels.category[channel]
    own = np.argsort(rng.random((count, TAGS_A_CATEGORY)), axis=1)[:, :TAGS_A_VIDEO]
    quality = np.clip(rng.normal(1.5 + 0.5 * channels.quality[channel], 0.8), 0, len(QUALITIES) - 1).round()
    stays_ms = rng.exponential(STAYS_DAYS * DAY_MS, count).astype(np.int64) + 2 * BEGINNING_MS
    never = np.int64(1) << 62
    return Videos(
        channel=channel,
        category=category,
        tags=(np.sort(own, axis=1) + category[:, None].astype(np.int16) * TAGS_A_CATEGORY).astype(np.int16),
        duration_s=np.clip(rng.lognormal(np.log(180), 0.9, count), 15, LONGEST_S).round(),
        quality=quality.astype(np.int8),
        sensitive=rng.random(count) < SENSITIVE,
        appeal=(0.4 * (quality - 1.5) + 0.9 * rng.standard_normal(count)).astype(np.float32),
        popular=(rng.pareto(1.3, count) + 0.2).astype(np.float32),
        told_ms=told_ms,
        born_ms=born_ms,
        removed_ms=np.where(rng.random(count) < REMOVED, told_ms + stays_ms, never),
        peak_ms=np.clip(rng.lognormal(np.log(18), 0.7, count), 3, 120) * 3_600_000,
        trend=rng.gamma(1.0, 1.0, count).astype(np.float32),
    )

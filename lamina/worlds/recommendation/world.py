"""The recommendation world: invented viewers, channels and videos, and what is watched of what is shown; all chances
are known.

A seeded simulator at any scale. Day `n` depends on the seed and `n` alone, so that days can be made in any order, by
several processes, and again. What is true is said in `truth`, who shows what in `policy`.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date

import numpy as np
import pyarrow as pa

from lamina.clock import DAY_MS, midnight_ms
from lamina.contracts.videos import (
    CHANNEL_FOLLOWS,
    VIDEO_IMPRESSIONS,
    VIDEO_UPLOADS,
    VIDEO_WATCHES,
    VIEWER_INTERESTS,
)
from lamina.definitions.recommendation import CATEGORIES, WATCHED
from lamina.worlds.columns import ids
from lamina.worlds.protocol import World, WorldError
from lamina.worlds.recommendation.catalogue import Videos, first_videos, uploads
from lamina.worlds.recommendation.drawn import Array
from lamina.worlds.recommendation.policy import Shelf
from lamina.worlds.recommendation.population import build_channels, build_viewers
from lamina.worlds.recommendation.sessions import SHELVES, Shown, nothing, watching_day
from lamina.worlds.recommendation.tables import Tables
from lamina.worlds.recommendation.truth import HOUR_MS, Truth

VIEWERS_A_CHANNEL, VIDEOS_A_CHANNEL, FEWEST_CHANNELS = 10, 12, 40
UPLOADED_A_DAY = 0.03
"""Of the number of videos at the beginning."""
_KEEP_DAYS = 3
_LISTS_A_DAY = 10**8

# What a stream of random numbers is for; with the seed and a day it starts the stream.
_CHANNELS, _VIEWERS, _VIDEOS, _UPLOADS, _SESSIONS = range(5)


class RecommendationWorld(World):
    """`days` days of what `viewers` people are shown and watch, from midnight UTC of `start`.

    Args: channels: 0 means one for every ten viewers, at least `FEWEST_CHANNELS`; videos: those of the beginning, 0
    means twelve a channel; per_day: sessions of a viewer on a day, on average.

    >>> world = RecommendationWorld(seed=7, viewers=50, days=3, start=date(2026, 1, 5))
    >>> world.day(0)["video-impressions"].column_names[:3]
    ['event_id', 'viewer_id', 'request_id']
    >>> at = world.midnight_ms(1)
    >>> world.known.chance(np.array([3]), np.array([8]), np.array([at])).shape
    (1,)
    """

    def __init__(
        self, seed: int, viewers: int, days: int, start: date, channels: int = 0, videos: int = 0, per_day: float = 1.2
    ) -> None:
        channels = channels or max(FEWEST_CHANNELS, viewers // VIEWERS_A_CHANNEL)
        videos = videos or channels * VIDEOS_A_CHANNEL
        if seed < 0 or viewers < 1 or days < 1 or per_day <= 0 or videos < 1:
            raise WorldError("seed must be 0 or more, viewers, days, videos and per_day positive")
        if channels < len(CATEGORIES):
            raise WorldError(f"channels must be {len(CATEGORIES)} or more: every category needs one")
        self.seed, self.days, self.start = seed, days, start
        begin_ms, a_day = midnight_ms(start), max(1, round(UPLOADED_A_DAY * videos))
        made = build_channels(channels, self._rng(_CHANNELS))
        people = build_viewers(viewers, per_day, made, begin_ms, self._rng(_VIEWERS))
        # Sessions of the day after the last one say what followed the last day's.
        catalogue = Videos.concatenate(
            [
                first_videos(videos, made, begin_ms, self._rng(_VIDEOS)),
                *(uploads(a_day, made, self.midnight_ms(n), self._rng(_UPLOADS, n)) for n in range(days + 1)),
            ]
        )
        self.known = Truth(seed, people, made, catalogue)
        self.viewer_ids = ids("viewer-", np.arange(viewers), 7)
        self.channel_ids = ids("channel-", np.arange(channels), 6)
        self.video_ids = ids("video-", np.arange(len(catalogue)), 7)
        self._tables = Tables(seed, people, made, catalogue, self.viewer_ids, self.channel_ids, self.video_ids)
        self._made: OrderedDict[int, Shown] = OrderedDict()
        self._shelves: OrderedDict[int, Shelf] = OrderedDict()

    def day(self, n: int) -> dict[str, pa.Table]:
        """Events of day `n`, by topic."""
        around, midnight = self._around(n), self.midnight_ms(n)
        watched = around.take(around.watched & (around.end_ms >= midnight) & (around.end_ms < midnight + DAY_MS))
        return {
            VIDEO_IMPRESSIONS: self._tables.impressions(self._rows(n)),
            VIDEO_WATCHES: self._tables.watches(watched.take(np.argsort(watched.end_ms, kind="stable"))),
            CHANNEL_FOLLOWS: self._tables.follows(midnight),
            VIEWER_INTERESTS: self._tables.interests(midnight),
            VIDEO_UPLOADS: self._tables.uploads(midnight),
        }

    def truth(self, n: int) -> pa.Table:
        """Columns `event_id` of all that was shown on day `n`, and `watched`: by its viewer within the label's time."""
        rows = self._rows(n)
        later = Shown.concatenate([self._watching(day) for day in (n - 1, n, n + 1)])
        return pa.table(
            {
                "event_id": self._tables.event_ids("list", rows),
                "watched": _followed(rows, later.take(later.watched), len(self.known.videos)),
            }
        )

    def chances(self, n: int) -> pa.Table:
        """Columns `event_id` of all that was shown on day `n`, `chance` and `watched_s` as `Truth` says them.

        `chance` is of a video that is looked at, wherever it stands.
        """
        rows = self._rows(n)
        watched_s = self.known.watched_s(rows.viewer, rows.video, rows.time_ms)
        ids_ = self._tables.event_ids("list", rows)
        return pa.table({"event_id": ids_, "chance": rows.chance, "watched_s": watched_s})

    def midnight_ms(self, n: int) -> int:
        """Begin of day `n`, epoch ms."""
        return midnight_ms(self.start) + n * DAY_MS

    def shelf(self, time_ms: int) -> Shelf:
        """What can be shown in the hour of a time."""
        hour = time_ms // HOUR_MS
        if hour not in self._shelves:
            self._shelves[hour] = Shelf(self.known.videos, hour * HOUR_MS)
            if len(self._shelves) > SHELVES:
                self._shelves.popitem(last=False)
        return self._shelves[hour]

    def _rng(self, purpose: int, number: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, number])

    def _around(self, n: int) -> Shown:
        """What was shown in the viewers' days of which day `n` is made."""
        if not 0 <= n < self.days:
            raise WorldError(f"this world has days 0 to {self.days - 1}, not {n}")
        return Shown.concatenate([self._watching(n - 1), self._watching(n)])

    def _rows(self, n: int) -> Shown:
        around, midnight = self._around(n), self.midnight_ms(n)
        rows = around.take((around.time_ms >= midnight) & (around.time_ms < midnight + DAY_MS))
        return rows.take(np.argsort(rows.time_ms, kind="stable"))

    def _watching(self, day: int) -> Shown:
        """The viewers' own day, which may end in the next; lists are numbered through all days."""
        if day < 0:
            return nothing()
        if day not in self._made:
            rows = watching_day(self.midnight_ms(day), self.known, self.shelf, self._rng(_SESSIONS, day))
            rows.list_ = rows.list_ + day * _LISTS_A_DAY
            self._made[day] = rows
            if len(self._made) > _KEEP_DAYS:
                self._made.popitem(last=False)
        return self._made[day]


def _followed(shown: Shown, watches: Shown, videos: int) -> Array:
    """Whether the same viewer has watched the video after it was shown and within the label's time, bool[shown]."""
    if not len(watches) or not len(shown):
        return np.zeros(len(shown), dtype=bool)
    span = np.int64(1) << 33  # milliseconds: longer than all that is looked at
    begin = int(min(watches.end_ms.min(), shown.time_ms.min()))
    ordered = np.sort((watches.viewer * videos + watches.video) * span + watches.end_ms - begin)
    at = (shown.viewer * videos + shown.video) * span + shown.time_ms - begin
    later = ordered[np.minimum(np.searchsorted(ordered, at, side="right"), len(ordered) - 1)]
    return np.asarray((later > at) & (later - at <= WATCHED.within.ms))

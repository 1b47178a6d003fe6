"""Tables of the recommendation world, with the columns that the lake has for each topic. No work per row in Python."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.clock import DAY_MS
from lamina.contracts.videos import (
    CHANNEL_FOLLOWS,
    VIDEO_IMPRESSIONS,
    VIDEO_UPLOADS,
    VIDEO_WATCHES,
    VIEWER_INTERESTS,
)
from lamina.definitions.recommendation import CATEGORIES, DAY_PARTS
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.columns import ids
from lamina.worlds.recommendation.catalogue import QUALITIES, Videos
from lamina.worlds.recommendation.drawn import Array
from lamina.worlds.recommendation.policy import SOURCES
from lamina.worlds.recommendation.population import DEVICES, FOLLOW_SLOTS, INTERESTS, TAGS, Channels, Viewers
from lamina.worlds.recommendation.sessions import Shown
from lamina.worlds.recommendation.truth import HOUR_MS

_PART_HOURS = 24 // len(DAY_PARTS)


@dataclass(frozen=True)
class Tables:
    """Makes tables of one world; whatever there is many of has its ids ready."""

    seed: int
    viewers: Viewers
    channels: Channels
    videos: Videos
    viewer_ids: pa.Array
    channel_ids: pa.Array
    video_ids: pa.Array

    def impressions(self, shown: Shown) -> pa.Table:
        """All that was shown, in time order."""
        video = shown.video
        columns = [
            self.event_ids("list", shown),
            self.viewer_ids.take(pa.array(shown.viewer)),
            self._list_ids("list", shown),
            self.video_ids.take(pa.array(video)),
            self.channel_ids.take(pa.array(self.videos.channel[video])),
            _names(CATEGORIES, self.videos.category[video]),
            pa.array(shown.position),
            pa.array(shown.propensity),
            _names(SOURCES, shown.source),
            _names(DEVICES, shown.device),
            _parts(shown.time_ms),
            pa.array(shown.time_ms),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMAS[VIDEO_IMPRESSIONS])

    def watches(self, shown: Shown) -> pa.Table:
        """What was watched, all of `shown`, in the order in which the watches were over."""
        video = shown.video
        columns = [
            self.event_ids("watch", shown),
            self.viewer_ids.take(pa.array(shown.viewer)),
            self.video_ids.take(pa.array(video)),
            self.channel_ids.take(pa.array(self.videos.channel[video])),
            _names(CATEGORIES, self.videos.category[video]),
            pa.array(shown.seconds),
            pa.array(np.round(shown.seconds / self.videos.duration_s[video], 4)),
            pa.array(shown.liked),
            _names(DEVICES, shown.device),
            _parts(shown.end_ms),
            pa.array(shown.end_ms),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMAS[VIDEO_WATCHES])

    def follows(self, midnight_ms: int) -> pa.Table:
        """Who begins and who ceases to follow whom in the day at `midnight_ms`."""
        begun, ended = (np.nonzero(_in_day(times, midnight_ms)) for times in (self.viewers.from_ms, self.viewers.to_ms))
        viewer, slot = (np.concatenate(both) for both in zip(begun, ended, strict=True))
        followed = np.arange(len(viewer)) < len(begun[0])
        time_ms = np.where(followed, self.viewers.from_ms[viewer, slot], self.viewers.to_ms[viewer, slot])
        number = 2 * (viewer * FOLLOW_SLOTS + slot) + ~followed
        columns = [
            ids(f"follow-{self.seed}-", number, 9),
            self.viewer_ids.take(pa.array(viewer)),
            self.channel_ids.take(pa.array(self.viewers.followed[viewer, slot])),
            pa.array(followed),
            pa.array(time_ms),
        ]
        return _in_order(pa.Table.from_arrays(columns, schema=SCHEMAS[CHANNEL_FOLLOWS]))

    def interests(self, midnight_ms: int) -> pa.Table:
        """What those say to like who sign up in the day at `midnight_ms`."""
        new = np.flatnonzero(_in_day(self.viewers.signup_ms, midnight_ms))
        viewer, nth = np.repeat(new, INTERESTS), np.tile(np.arange(INTERESTS), len(new))
        columns = [
            ids(f"interest-{self.seed}-", viewer * INTERESTS + nth, 9),
            self.viewer_ids.take(pa.array(viewer)),
            _names(CATEGORIES, self.viewers.interests[viewer, nth]),
            pa.array(self.viewers.signup_ms[viewer]),
        ]
        return _in_order(pa.Table.from_arrays(columns, schema=SCHEMAS[VIEWER_INTERESTS]))

    def uploads(self, midnight_ms: int) -> pa.Table:
        """Videos that are published or removed in the day at `midnight_ms`."""
        videos = self.videos
        new = np.flatnonzero(_in_day(videos.told_ms, midnight_ms))
        gone = np.flatnonzero(_in_day(videos.removed_ms, midnight_ms))
        video, published = np.concatenate([new, gone]), np.arange(len(new) + len(gone)) < len(new)
        tags = [_names(TAGS, videos.tags[video, nth]) for nth in range(videos.tags.shape[1])]
        columns = [
            ids(f"upload-{self.seed}-", 2 * video + ~published, 9),
            self.video_ids.take(pa.array(video)),
            self.channel_ids.take(pa.array(videos.channel[video])),
            _names(CATEGORIES, videos.category[video]),
            pc.binary_join_element_wise(*tags, ","),
            pa.array(videos.duration_s[video]),
            pa.array(np.array(QUALITIES)[videos.quality[video]]),
            _names(("general", "sensitive"), videos.sensitive[video]),
            _names(("removed", "published"), published),
            pa.array(np.where(published, videos.told_ms[video], videos.removed_ms[video])),
        ]
        return _in_order(pa.Table.from_arrays(columns, schema=SCHEMAS[VIDEO_UPLOADS]))

    def event_ids(self, kind: str, shown: Shown) -> pa.Array:
        """Ids of what was shown or watched: the list's, and the position."""
        return pc.binary_join_element_wise(self._list_ids(kind, shown), pa.array(shown.position).cast(pa.string()), "-")

    def _list_ids(self, kind: str, shown: Shown) -> pa.Array:
        return ids(f"{kind}-{self.seed}x", shown.list_, 10, base=16)


def _names(names: tuple[str, ...], places: Array) -> pa.Array:
    return pa.array(names).take(pa.array(places.astype(np.int64)))


def _parts(time_ms: Array) -> pa.Array:
    return _names(DAY_PARTS, time_ms // HOUR_MS % 24 // _PART_HOURS)


def _in_day(time_ms: Array, midnight_ms: int) -> Array:
    return np.asarray((time_ms >= midnight_ms) & (time_ms < midnight_ms + DAY_MS))


def _in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([("timestamp", "ascending"), ("event_id", "ascending")])

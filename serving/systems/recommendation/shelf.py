"""Every video that is published, put in the orders that sources take candidates from. Made anew at each look at the
store, beside the requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lamina.store.protocol import EntityReply, Snapshot
from lamina.store.table import Items

TRENDING = 1000
OF_CATEGORY = 200
OF_CHANNEL = 20
POOL = 100
"""Videos in each order: more of them than any list takes."""

POOLS = ("fresh", "untried")

Places = NDArray[np.int64]
NOBODY = {"viewer_id": "", "channel_id": ""}
FEATURES = (
    "video_channel",
    "video_category",
    "video_content_rating",
    "video_status",
    "uploaded_timestamp",
    "trending_score",
    "video_view_count_30d",
    "video_shown_7d",
)


@dataclass(frozen=True)
class Video:
    """What rules ask of a video."""

    id: str
    channel: str
    category: str
    is_sensitive: bool


@dataclass(frozen=True)
class Shelf:
    """Published videos by id, and ids of some of them in orders, the best first.

    trending: by the decayed count of watches. by_category: the same within each. by_channel: the newest and the most
    watched of each in turn. pools: what chance may draw from, by name: `fresh`, the newest, and `untried`, those that
    were shown least in a week, the newest of equals first; nothing sensitive is in them.
    """

    videos: Mapping[str, Video]
    trending: Sequence[str]
    by_category: Mapping[str, Sequence[str]]
    by_channel: Mapping[str, Sequence[str]]
    pools: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, items: Items, at_ms: int) -> Shelf:
        """What `items` hold of videos, at `at_ms`, epoch ms."""
        reader, ids = items.reader, sorted(items.of("video").places)
        nothing = Snapshot([EntityReply() for _ in reader.askers], {})
        asker = reader.asker(nothing, NOBODY, at_ms)
        features = reader.candidates(asker, items.held, [{"video_id": id_} for id_ in ids])
        return cls.from_columns(ids, features.columns(FEATURES) if ids else {})

    @classmethod
    def from_columns(cls, ids: Sequence[str], columns: Mapping[str, NDArray[np.generic]]) -> Shelf:
        """The shelf of videos with these `FEATURES`, by name, an array each; of missing numbers NaN, of texts None."""
        if not ids:
            return cls({}, [], {}, {}, dict.fromkeys(POOLS, ()))
        texts = {name: columns[name].tolist() for name in FEATURES[:3]}
        is_known = [bool(channel and category) for channel, category in zip(*list(texts.values())[:2], strict=True)]
        there = np.flatnonzero((columns["video_status"] == "published") & is_known)
        videos = {
            ids[at]: Video(
                ids[at],
                texts["video_channel"][at],
                texts["video_category"][at],
                texts["video_content_rating"][at] != "general",
            )
            for at in there.tolist()
        }
        uploaded, trend, views, shown = (np.nan_to_num(columns[name].astype(np.float64)) for name in FEATURES[4:])
        newest, popular = _order(there, uploaded), _order(there, views, uploaded)
        trending = [ids[at] for at in _order(there, trend, views, uploaded).tolist()]
        fresh = [ids[at] for at in newest.tolist()]
        untried = [ids[at] for at in _order(there, -shown, uploaded).tolist()]
        return cls(
            videos,
            trending[:TRENDING],
            _grouped(trending, {id_: video.category for id_, video in videos.items()}, OF_CATEGORY),
            _by_channel(videos, fresh, [ids[at] for at in popular.tolist()]),
            {"fresh": _harmless(videos, fresh), "untried": _harmless(videos, untried)},
        )


def _order(places: Places, *keys: NDArray[np.float64]) -> Places:
    """`places` by the first of `keys`, the largest first; of equal ones by the next; then as they are."""
    found: Places = places[np.lexsort([-key[places] for key in reversed(keys)])]
    return found


def _grouped(ordered: Sequence[str], group: Mapping[str, str], most: int) -> dict[str, list[str]]:
    """The first `most` of each group, in order; those of no group are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for id_ in ordered:
        if (name := group[id_]) and len(found[name]) < most:
            found[name].append(id_)
    return dict(found)


def _by_channel(videos: Mapping[str, Video], newest: Sequence[str], popular: Sequence[str]) -> dict[str, list[str]]:
    channels = {id_: video.channel for id_, video in videos.items()}
    of_newest, of_popular = (_grouped(ordered, channels, OF_CHANNEL) for ordered in (newest, popular))
    return {channel: in_turn([ordered, of_popular[channel]])[:OF_CHANNEL] for channel, ordered in of_newest.items()}


def in_turn(lists: Sequence[Sequence[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on; each id once.

    >>> in_turn([["a", "b", "c"], ["b", "d"]])
    ['a', 'b', 'd', 'c']
    """
    longest = max(map(len, lists), default=0)
    return list(dict.fromkeys(ids[n] for n in range(longest) for ids in lists if n < len(ids)))


def _harmless(videos: Mapping[str, Video], ordered: Sequence[str]) -> list[str]:
    return list(islice((id_ for id_ in ordered if not videos[id_].is_sensitive), POOL))

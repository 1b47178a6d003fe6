"""Shelves of videos for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving.systems.recommendation.shelf import Shelf, Video


def video(id_: str, channel: str = "", category: str = "music", *, is_sensitive: bool = False) -> Video:
    return Video(id_, channel or f"channel-of-{id_}", category, is_sensitive)


def shelf(*videos: Video, **pools: Sequence[str]) -> Shelf:
    known: Mapping[str, Video] = {each.id: each for each in videos}
    return Shelf(known, [], {}, {}, {"fresh": [], "untried": [], **pools})

"""Who shows what in the recommendation world: a simple recommender with some randomness, whose probabilities are known.

For each list it draws candidates from four sources; what is drawn twice, or was shown in this session, is dropped. Each
candidate has a score; one by one, a video is drawn from those that are left, by weights exp(score). So its propensity
is its weight by the sum of the weights of those that are left, itself included (Plackett-Luce), given the candidates.

    weights 4, 2, 2     first drawn: the second, by 2/8     then: the first, by 4/6     then: the third, by 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.worlds.recommendation.catalogue import Videos
from lamina.worlds.recommendation.drawn import Array
from lamina.worlds.recommendation.population import FOLLOW_SLOTS, Viewers
from lamina.worlds.recommendation.truth import HOUR_MS, POSITIONS, Truth

TRENDING, FOLLOW, FRESH, RANDOM = range(4)
SOURCES = ("trending", "follow", "fresh", "random")
CANDIDATES = (16, 8, 6, 10)
"""How many are drawn from each source for a list."""
SCORE = np.array([1.0, 1.2, 0.3, 0.0])
"""By source; that of a video grows with the logarithm of how popular it is."""
BY_POPULARITY = 0.4
FRESH_MS = 24 * HOUR_MS
NEWEST_OF_A_CHANNEL = 10


@dataclass(frozen=True)
class Lists:
    """Lists of `POSITIONS` videos, each array of shape [lists, POSITIONS]; -1 in `video` where there are too few."""

    video: Array
    source: Array
    propensity: Array


class Shelf:
    """The videos that can be shown within one hour, ready to be drawn from."""

    def __init__(self, videos: Videos, hour_ms: int) -> None:
        there = np.flatnonzero(videos.there(hour_ms, hour_ms + HOUR_MS))
        heat = videos.heat(there, np.full(len(there), hour_ms))
        self._videos, self._there = videos, there
        self._popular = np.cumsum(videos.popular[there] * (0.2 + heat))
        self._fresh = there[videos.told_ms[there] > hour_ms - FRESH_MS]
        self._by_channel = there[np.lexsort((videos.told_ms[there], videos.channel[there]))]
        self._bounds = np.searchsorted(videos.channel[self._by_channel], np.arange(videos.channel.max() + 2))

    def __len__(self) -> int:
        """Number of videos."""
        return len(self._there)

    def trending(self, u: Array) -> Array:
        """A video for each uniform number, those that are talked about more often."""
        place = np.searchsorted(self._popular, u * self._popular[-1], side="right")
        return np.asarray(self._there[np.minimum(place, len(self._there) - 1)])

    def any(self, u: Array) -> Array:
        """A video for each uniform number, all alike."""
        return np.asarray(self._there[(u * len(self._there)).astype(np.int64)])

    def fresh(self, u: Array) -> Array:
        """A video of the last day for each uniform number; any where there is none."""
        return np.asarray(self._fresh[(u * len(self._fresh)).astype(np.int64)]) if len(self._fresh) else self.any(u)

    def newest_of(self, channel: Array, u: Array) -> Array:
        """One of the newest videos of each channel; -1 where it has none."""
        place = np.minimum(channel, len(self._bounds) - 2)
        begin, end = self._bounds[place], self._bounds[place + 1]
        back = 1 + (u * np.minimum(end - begin, NEWEST_OF_A_CHANNEL)).astype(np.int64)
        some = (end > begin) & (channel == place)
        return np.where(some, self._by_channel[np.where(some, end - back, 0)], -1)


def lists(shelf: Shelf, truth: Truth, viewer: Array, time_ms: Array, before: Array, rng: np.random.Generator) -> Lists:
    """A list for each viewer at its time, within the shelf's hour.

    Args: before: int64[lists, any], videos that the session has shown, which are left out; -1 stands for none.
    """
    shape = (len(viewer), sum(CANDIDATES))
    video, source = _candidates(shelf, truth.viewers, viewer, time_ms, rng.random((*shape, 2)))
    noise = rng.gumbel(size=shape)
    score = SCORE[source] + BY_POPULARITY * np.log(truth.videos.popular[video])
    seen = (video[:, :, None] == before[:, None, :]).any(axis=2)
    order, propensity = draw(np.where(seen | _again(video), -np.inf, score), noise)
    return Lists(
        video=np.where(propensity > 0, np.take_along_axis(video, order, axis=1), -1),
        source=np.take_along_axis(source, order, axis=1),
        propensity=propensity,
    )


def draw(score: Array, noise: Array) -> tuple[Array, Array]:
    """Places of the first `POSITIONS` that are drawn in each row of scores, and the propensity of each; 0 where none
    with a score above -inf was left.

    Args: score: float64[rows, candidates]; noise: as many standard Gumbel numbers: the largest sums are drawn first.
    """
    order = np.argsort(-(score + noise), axis=1, kind="stable")[:, :POSITIONS]
    weight = np.exp(score)
    drawn = np.take_along_axis(weight, order, axis=1)
    left = weight.sum(axis=1)[:, None] - (np.cumsum(drawn, axis=1) - drawn)
    # What is left is a difference of sums: it may be too small by a rounding.
    return order, np.divide(drawn, np.maximum(left, drawn), out=np.zeros_like(drawn), where=drawn > 0)


def _candidates(shelf: Shelf, viewers: Viewers, viewer: Array, time_ms: Array, u: Array) -> tuple[Array, Array]:
    source = np.repeat(np.arange(len(SOURCES)), CANDIDATES)
    trending = shelf.trending(u[:, :, 0])
    slot = (u[:, source == FOLLOW, 1] * FOLLOW_SLOTS).astype(np.int64)
    rows = viewer[:, None]
    time = time_ms[:, None]
    follows = (viewers.from_ms[rows, slot] <= time) & (time < viewers.to_ms[rows, slot])
    of_channel = shelf.newest_of(viewers.followed[rows, slot], u[:, source == FOLLOW, 0])
    found = trending.copy()
    found[:, source == FRESH] = shelf.fresh(u[:, source == FRESH, 0])
    found[:, source == RANDOM] = shelf.any(u[:, source == RANDOM, 0])
    by_follow = follows & (of_channel >= 0)
    found[:, source == FOLLOW] = np.where(by_follow, of_channel, trending[:, source == FOLLOW])
    sources = np.tile(source, (len(viewer), 1))
    sources[:, source == FOLLOW] = np.where(by_follow, FOLLOW, TRENDING)
    return found, sources


def _again(video: Array) -> Array:
    """Whether a candidate is on its list already, bool[lists, candidates]; the first of them counts."""
    order = np.argsort(video, axis=1, kind="stable")
    ordered = np.take_along_axis(video, order, axis=1)
    repeated = np.zeros(video.shape, dtype=bool)
    np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return repeated

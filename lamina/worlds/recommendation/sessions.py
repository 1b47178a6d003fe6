"""How people watch: sessions of some lists, each looked at from the top, and what is watched of it one after the other.

A viewer's day begins at midnight UTC; a session that begins late ends on the next. Nothing else reaches from one day to
another, so that any day can be made by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lamina.worlds.columns import Columns
from lamina.worlds.recommendation.drawn import Array
from lamina.worlds.recommendation.policy import Shelf, lists
from lamina.worlds.recommendation.truth import EXAMINED, HOUR_MS, POSITIONS, SPREAD, Truth

MOST_LISTS, FURTHER_LISTS = 6, 1.6
AWAKE_H = 2.0
LIKE_BASE, LIKE_SHARE, LIKE_APPEAL = -3.2, 2.4, 0.5
SHELVES = 30


@dataclass
class Shown(Columns):
    """Videos on lists, in order of list and position; viewers and videos by number.

    list_: number of the list in the viewers' day; chance: that it is watched once it is looked at; end_ms: when the
    watch was over, seconds: how long it was, liked: whether the viewer says so, all three only where `watched`.
    """

    time_ms: Array
    list_: Array
    viewer: Array
    video: Array
    position: Array
    source: Array
    propensity: Array
    device: Array
    chance: Array
    watched: Array
    end_ms: Array
    seconds: Array
    liked: Array


def watching_day(midnight_ms: int, truth: Truth, shelf: Callable[[int], Shelf], rng: np.random.Generator) -> Shown:
    """All that is shown in the viewers' day at `midnight_ms`; `shelf` gives what can be shown in the hour of a time."""
    viewers = truth.viewers
    viewer = np.repeat(np.arange(len(viewers)), rng.poisson(viewers.per_day))
    hour = (viewers.peak_h[viewer] + AWAKE_H * rng.standard_normal(len(viewer))) % 24
    clock = midnight_ms + (hour * HOUR_MS).astype(np.int64)
    count = np.minimum(1 + rng.poisson(FURTHER_LISTS, len(viewer)), MOST_LISTS)
    count[clock < viewers.signup_ms[viewer]] = 0
    before = np.full((len(viewer), MOST_LISTS * POSITIONS), -1)
    parts, made = [], 0
    for nth in range(MOST_LISTS):
        if not len(active := np.flatnonzero(count > nth)):
            break
        order = active[np.argsort(clock[active] // HOUR_MS, kind="stable")]
        hours, first = np.unique(clock[order] // HOUR_MS, return_index=True)
        for at, own in zip(hours, np.split(order, first[1:]), strict=True):
            if not len(on := shelf(int(at) * HOUR_MS)):
                continue  # nobody was told of a video yet
            part = _shown(truth, on, viewer[own], clock[own], before[own, : nth * POSITIONS], made, rng)
            before[own, nth * POSITIONS : (nth + 1) * POSITIONS] = part.video.reshape(-1, POSITIONS)
            ended = part.end_ms.reshape(-1, POSITIONS).max(axis=1)
            clock[own] = np.maximum(ended, clock[own]) + rng.integers(4_000, 40_000, len(own))
            parts.append(part.take(part.video >= 0))
            made += len(own)
    return Shown.concatenate(parts or [nothing()])


def nothing() -> Shown:
    """No rows."""
    whole, real, truth = np.empty(0, np.int64), np.empty(0), np.empty(0, bool)
    return Shown(whole, whole, whole, whole, whole, whole, real, whole, real, truth, whole, real, truth)


def _shown(
    truth: Truth, shelf: Shelf, viewer: Array, time_ms: Array, before: Array, begin: int, rng: np.random.Generator
) -> Shown:
    """One list for each viewer, `POSITIONS` rows a list, those without a video among them."""
    count, videos = len(viewer), truth.videos
    found = lists(shelf, truth, viewer, time_ms, before, rng)
    video, position = found.video.ravel(), np.tile(np.arange(POSITIONS), count)
    rows, at = np.repeat(viewer, POSITIONS), np.repeat(time_ms, POSITIONS)
    look = truth.look(rows, video, at)
    watched = (rng.random(len(rows)) < look.chance * EXAMINED[position]) & (video >= 0)
    duration = videos.duration_s[video]
    seconds = np.round(np.exp(look.length + SPREAD * rng.standard_normal(len(rows))), 1)
    seconds = np.clip(seconds, 1.0, duration)
    wish = LIKE_BASE + LIKE_SHARE * seconds / duration + LIKE_APPEAL * videos.appeal[video]
    spent = np.where(watched, seconds * 1000 + rng.integers(1_000, 8_000, len(rows)), 0).astype(np.int64)
    ended = at + np.cumsum(spent.reshape(count, POSITIONS), axis=1).ravel()
    return Shown(
        time_ms=at,
        list_=np.repeat(begin + np.arange(count), POSITIONS),
        viewer=rows,
        video=video,
        position=position,
        source=found.source.ravel(),
        propensity=found.propensity.ravel(),
        device=truth.device(rows, at),
        chance=look.chance,
        watched=watched,
        end_ms=np.where(watched, ended, 0),
        seconds=np.where(watched, seconds, 0.0),
        liked=watched & (rng.random(len(rows)) < expit(wish)),
    )

"""What is true in the recommendation world: who would watch which video when and how long, and how far lists are read.

A video on a list is looked at by a chance that its position alone decides, and then watched by a chance that grows with
taste, the video, and the moment:

    position 0, chance 0.30: watched by 0.30          position 3, the same video: by 0.30 * 0.61 = 0.18
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from lamina.definitions.recommendation import CATEGORIES
from lamina.worlds.recommendation.catalogue import Videos
from lamina.worlds.recommendation.drawn import Array, chosen, uniform
from lamina.worlds.recommendation.population import DEVICES, Channels, Viewers

HOUR_MS = 3_600_000
POSITIONS = 10
EXAMINED = 0.85 ** np.arange(POSITIONS)
"""Probability that the video at each position is looked at."""

# Logarithm of the odds that a video that is looked at is watched, and what each cause adds to it.
BASE = -4.3
CAUSES = {
    "taste": 0.85,
    "mood": 1.5,
    "tags": 0.7,
    "follow": 1.0,
    "appeal": 0.6,
    "channel": 0.35,
    "heat": 0.7,
    "hour": 0.4,
}
MOOD_HOURS = 4
MOOD_CHANCE = 0.75
"""Of some hours in which a viewer wants one category above all others, one of those that the viewer likes anyway."""
USUAL_DEVICE = 0.85

# Seconds that would be watched of a video without end: a lognormal, of which this is the logarithm of the median.
BASE_S = float(np.log(60.0))
LENGTH = {"taste": 0.25, "tags": 0.3, "appeal": 0.2, "mood": 0.2}
LONGER_ON = np.array([-0.15, 0.0, 0.5])
"""By device, as `DEVICES`."""
SPREAD = 0.9

# What a number is drawn for; with the seed it begins the keys of `uniform`.
_MOOD, _WHICH_MOOD, _DEVICE, _WHICH_DEVICE = range(101, 105)


class Look(NamedTuple):
    """The chance that it is watched, and the logarithm of the median of the seconds, if the video did not end."""

    chance: Array
    length: Array


@dataclass(frozen=True)
class Truth:
    """Expectations for any viewers, videos and times, by number and epoch ms, of equal lengths n. Hot path."""

    seed: int
    viewers: Viewers
    channels: Channels
    videos: Videos

    def chance(self, viewer: Array, video: Array, time_ms: Array) -> Array:
        """Probability that the viewer watches the video once it is looked at, float64[n]; the position has no say.

        At a position it is this times `EXAMINED[position]`.
        """
        return self.look(viewer, video, time_ms).chance

    def watched_s(self, viewer: Array, video: Array, time_ms: Array) -> Array:
        """Seconds that the viewer is expected to watch of the video, if it is watched at all, float64[n]."""
        length, duration = self.look(viewer, video, time_ms).length, self.videos.duration_s[video]
        z = (np.log(duration) - length) / SPREAD
        return np.asarray(np.exp(length + SPREAD**2 / 2) * ndtr(z - SPREAD) + duration * ndtr(-z))

    def look(self, viewer: Array, video: Array, time_ms: Array) -> Look:
        """What comes of a viewer who looks at a video."""
        causes = self._causes(viewer, video, time_ms)
        fit = sum(weight * causes[name] for name, weight in LENGTH.items())
        return Look(
            chance=np.asarray(expit(BASE + sum(weight * causes[name] for name, weight in CAUSES.items()))),
            length=np.asarray(BASE_S + fit + LONGER_ON[self.device(viewer, time_ms)]),
        )

    def mood(self, viewer: Array, time_ms: Array) -> Array:
        """The category that each viewer wants above all others at the time, int64[n]; -1 where there is none."""
        block = time_ms // (MOOD_HOURS * HOUR_MS)
        liking = np.cumsum(np.exp(1.5 * self.viewers.taste[viewer]), axis=1)
        category = chosen(liking, uniform(self.seed, _WHICH_MOOD, viewer, block))
        return np.where(uniform(self.seed, _MOOD, viewer, block) < MOOD_CHANCE, category, -1)

    def device(self, viewer: Array, time_ms: Array) -> Array:
        """What each viewer watches on at the time, places in `DEVICES`."""
        block = time_ms // (MOOD_HOURS * HOUR_MS)
        other = (uniform(self.seed, _WHICH_DEVICE, viewer, block) * len(DEVICES)).astype(np.int8)
        usual = uniform(self.seed, _DEVICE, viewer, block) < USUAL_DEVICE
        return np.where(usual, self.viewers.device[viewer], other)

    def _causes(self, viewer: Array, video: Array, time_ms: Array) -> dict[str, Array]:
        viewers, videos, channels = self.viewers, self.videos, self.channels
        category, channel = videos.category[video], videos.channel[video]
        hour = time_ms % (24 * HOUR_MS) / HOUR_MS
        # Each category has its own hour, from news to films.
        peak = category * (24.0 / len(CATEGORIES))
        return {
            "taste": viewers.taste[viewer, category].astype(np.float64),
            "mood": (self.mood(viewer, time_ms) == category).astype(np.float64),
            "tags": viewers.tags[viewer[:, None], videos.tags[video]].mean(axis=1, dtype=np.float64) * np.sqrt(3),
            "follow": viewers.follow(viewer, channel, time_ms).astype(np.float64),
            "appeal": videos.appeal[video].astype(np.float64),
            "channel": channels.quality[channel].astype(np.float64),
            "heat": videos.heat(video, time_ms),
            "hour": np.cos((hour - peak) * (2 * np.pi / 24)),
        }

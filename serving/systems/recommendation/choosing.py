"""What of ranked videos is shown: rules that hold whatever the scores, variety where asked for, positions for chance.
Hot path.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import tee
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.diversity import Limit, diversified
from serving.systems.recommendation.exploring import draw
from serving.systems.recommendation.policy import Policy
from serving.systems.recommendation.shelf import Shelf, Video

GONE, SENSITIVE, WATCHED, CHANNEL = "gone", "sensitive", "watched", "channel"
"""Rules: it is published no longer; it is not for everybody; it is among the watches that are known of the viewer; its
channel is on the list."""
DEPTH = 5
"""Times as many as are shown are looked at for variety."""


class Scored(NamedTuple):
    """A ranked video. is_found: whether a source found it; else it is there for chance alone."""

    id: str
    score: float
    is_found: bool


class Choice(NamedTuple):
    """One that is shown. pool, propensity: where chance drew it."""

    id: str
    pool: str | None = None
    propensity: float | None = None


@dataclass
class Chosen:
    """A list, the first first, and what each rule kept from it, in the order of the ranking."""

    shown: list[Choice] = field(default_factory=list)
    removed: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def choose(
    ranked: Iterable[Scored],
    k: int,
    *,
    there: Collection[str],
    shelf: Shelf,
    watched: Collection[str],
    policy: Policy,
    rng: np.random.Generator,
    may_vary: Callable[[], bool] = lambda: True,
) -> Chosen:
    """At most `k` of `ranked`, which are the best first; the last positions are chance's, as the policy says.

    What chance leaves empty goes to the next of the ranking, of which no more is looked at than it takes.

    Args: there: ids of all that are ranked, of which chance may draw; may_vary: whether there is time for variety,
    asked where the policy wants it.
    """
    found = Chosen()
    slots = policy.slots(k)
    allowed = _Allowed(shelf, watched, policy.per_channel)
    best = _best(ranked, k, allowed, policy, found, may_vary)
    for id_ in best[: k - slots]:
        allowed.show(id_)
        found.shown.append(Choice(id_))
    weights = policy.exploring.weights
    for _ in range(slots):
        pools = {
            name: [id_ for id_ in shelf.pools[name] if id_ in there and allowed.rule_against(id_) is None]
            for name in weights
        }
        drawn = draw(pools, weights, rng)
        if drawn is None:
            break
        allowed.show(drawn.id)
        found.shown.append(Choice(*drawn))
    for id_ in best[k - slots :]:
        if len(found.shown) == k:
            break
        if allowed.rule_against(id_) is None:
            allowed.show(id_)
            found.shown.append(Choice(id_))
    return found


class _Allowed:
    """Says what may be shown beside what is on the list already."""

    def __init__(self, shelf: Shelf, watched: Collection[str], per_channel: int) -> None:
        self.videos: Mapping[str, Video] = shelf.videos
        self._watched, self._most = frozenset(watched), per_channel
        self._shown: set[str] = set()
        self._of_channel: Counter[str] = Counter()

    def show(self, id_: str) -> None:
        self._shown.add(id_)
        self._of_channel[self.videos[id_].channel] += 1

    def rule_alone(self, id_: str) -> str | None:
        """The rule that keeps it from every list of this viewer."""
        video = self.videos.get(id_)
        if video is None:
            return GONE
        if video.is_sensitive:
            return SENSITIVE
        return WATCHED if id_ in self._watched else None

    def rule_against(self, id_: str) -> str | None:
        """The rule that keeps it from this list; it is there once."""
        alone = self.rule_alone(id_)
        if alone is not None:
            return alone
        return CHANNEL if id_ in self._shown or self._of_channel[self.videos[id_].channel] >= self._most else None


def _best(
    ranked: Iterable[Scored], k: int, allowed: _Allowed, policy: Policy, found: Chosen, may_vary: Callable[[], bool]
) -> list[str]:
    """The `k` best by the rules; `found` is told what they removed on the way."""
    if policy.relevance < 1:
        ranked, looked_at = tee(ranked)
        candidates = _first(looked_at, DEPTH * k, allowed, found)
        if candidates and may_vary():
            return _varied(candidates, k, allowed.videos, policy, found)
        found.removed.clear()
    return [each.id for each in _first(ranked, k, allowed, found, policy.per_channel)]


def _first(
    ranked: Iterable[Scored], n: int, allowed: _Allowed, found: Chosen, per_channel: int | None = None
) -> list[Scored]:
    """The first `n` that no rule removes. per_channel: at most so many of a channel; None: that is no rule here."""
    kept: list[Scored] = []
    of_channel: Counter[str] = Counter()
    for each in ranked:
        if not each.is_found:
            continue
        rule = allowed.rule_alone(each.id)
        if rule is None and per_channel is not None and of_channel[allowed.videos[each.id].channel] >= per_channel:
            rule = CHANNEL
        if rule is not None:
            found.removed[rule].append(each.id)
            continue
        of_channel[allowed.videos[each.id].channel] += 1
        kept.append(each)
        if len(kept) == n:
            break
    return kept


def _varied(
    candidates: Sequence[Scored], k: int, videos: Mapping[str, Video], policy: Policy, found: Chosen
) -> list[str]:
    """Those are alike that are of one category, and more so of one channel."""
    known = [videos[each.id] for each in candidates]
    channels, categories = [video.channel for video in known], [video.category for video in known]
    vectors = np.concatenate([_one_hot(channels), _one_hot(categories)], axis=1)
    scores = np.array([each.score for each in candidates])
    limits = [Limit(channels, policy.per_channel)]
    places = diversified(scores, k, limits=limits, vectors=vectors, trade=policy.relevance).tolist()
    full = Counter(channels[place] for place in places)
    shown = set(places)
    for place in range(max(places)):
        if place not in shown and full[channels[place]] >= policy.per_channel:
            found.removed[CHANNEL].append(known[place].id)
    return [candidates[place].id for place in places]


def _one_hot(values: Sequence[str]) -> NDArray[np.float64]:
    places = {value: n for n, value in enumerate(dict.fromkeys(values))}
    return np.eye(len(places))[[places[value] for value in values]]

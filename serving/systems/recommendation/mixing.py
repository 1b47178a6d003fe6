"""Candidates of several sources put together: each source has a share of the places, and each video is there once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST = 1000
"""Candidates that are ranked, all sources together."""
COLLABORATIVE, FOLLOW, TRENDING, SIMILAR, INTERESTS = "collaborative", "follow", "trending", "similar", "interests"
SHARES = {COLLABORATIVE: 0.5, FOLLOW: 0.2, TRENDING: 0.15, SIMILAR: 0.15}
COLD_SHARES = {INTERESTS: 0.5, FOLLOW: 0.2, TRENDING: 0.3}
"""Of those who have watched nothing: what they said to like stands in for what others like them watch."""


class Candidate(NamedTuple):
    """A video, and all sources that found it."""

    id: str
    sources: tuple[str, ...]


def mixed(
    found: Mapping[str, Sequence[str]], shares: Mapping[str, float] = SHARES, *, most: int = MOST
) -> list[Candidate]:
    """At most `most` candidates, each once; sources take turns by their shares, so that the first ones are a fair list.

    A source takes its best until its share of the places is full; a video that another took already is passed over, and
    both are named. Places that a source cannot fill go to the others, in the order of `shares`.

    Args: found: ids by source, the best first; sources without a share are left out.

    >>> mixed({"trending": ["a", "b", "c"], "follow": ["b"]}, {"follow": 0.5, "trending": 0.5}, most=3)
    [Candidate(id='b', sources=('follow', 'trending')), Candidate(id='a', sources=('trending',)), \
Candidate(id='c', sources=('trending',))]
    """
    sources: dict[str, list[str]] = {}
    turn: dict[str, float] = {}
    taken = dict.fromkeys(shares, 0)
    left = {name: iter(found.get(name, ())) for name in shares}

    def take(name: str, until: int) -> None:
        while taken[name] < until and len(sources) < most and (id_ := next(left[name], None)) is not None:
            if id_ in sources:
                if name not in sources[id_]:
                    sources[id_].append(name)
                continue
            sources[id_] = [name]
            turn[id_] = (taken[name] + 0.5) / shares[name]
            taken[name] += 1

    for name, share in shares.items():
        take(name, round(share * most))
    for name in shares:
        take(name, most)
    return [Candidate(id_, tuple(sources[id_])) for id_ in sorted(sources, key=turn.__getitem__)]

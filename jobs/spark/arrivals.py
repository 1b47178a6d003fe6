"""In which order the events of one entity arrived, and which of them can have been readable at once.

The stream job reads each partition of a topic in its order, and the partitions as they come. Where the events of an
entity are in one partition, as those of a user are, their order is known. Those of an item that many users look at are
in all: an event of one partition can be readable while an earlier one of another is not. The same holds for tiles, of
which each is a message of its own on the way to the store. What always holds: of one tile, the events of one partition
become readable in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, nsmallest
from itertools import islice

from lamina.contracts.features import EventSource
from lamina.semantics.events import EventRow, time_of

NEAREST = 16
"""How many events on either side of the newest readable one may have been overtaken, or have overtaken others."""
MOST_ORDERS = 600
"""How many sets of events are tried for each way in which the order can be lost."""


def in_order(source: EventSource, events: Sequence[EventRow]) -> list[EventRow]:
    """Streamed events of one entity in the likeliest order of arrival.

    Args: events: those of each partition in their order, with `ingested` and `partition`.

    >>> from lamina.definitions.activity import USER_EVENTS
    >>> rows = [(0, 10), (0, 40), (0, 20), (1, 15), (1, 30)]
    >>> events = [{"ingested": "2026-02-18", "partition": p, "timestamp": at} for p, at in rows]
    >>> [(e["partition"], e["timestamp"]) for e in in_order(USER_EVENTS, events)]  # that of 20 came late
    [(0, 10), (1, 15), (1, 30), (0, 40), (0, 20)]
    """
    partitions: dict[object, list[EventRow]] = {}
    for event in events:
        partitions.setdefault(event["partition"], []).append(event)
    if len(partitions) < 2:
        return list(events)
    found: list[tuple[str, int, EventRow]] = []
    for own in partitions.values():
        times = _arrival_times([time_of(source, e) for e in own])
        found += [(str(e["ingested"]), at, e) for at, e in zip(times, own, strict=True)]
    return [e for *_, e in sorted(found, key=lambda one: one[:2])]


def _arrival_times(times: Sequence[int]) -> list[int]:
    """About when the events of a partition arrived, by the times they say.

    Most arrive when they happen, so the longest subsequence that never goes back (its tails by bisection, from the
    end) has the right ones. The others came late, or from a clock that is ahead: they take the time before theirs.

    >>> _arrival_times([10, 99, 20, 30, 15, 40]), _arrival_times([50, 20]), _arrival_times([90, 20, 30])
    ([10, 10, 20, 30, 30, 40], [50, 50], [20, 20, 30])
    """
    tails: list[int] = []
    ends: list[int] = []
    after: list[int | None] = [None] * len(times)
    for i in range(len(times) - 1, -1, -1):
        place = bisect_right(tails, -times[i])
        after[i] = ends[place - 1] if place else None
        tails[place : place + 1], ends[place : place + 1] = [-times[i]], [i]
    in_time, at = set[int](), ends[-1] if ends else None
    while at is not None:
        in_time.add(at)
        at = after[at]
    found, newest = [], times[min(in_time)] if in_time else 0
    for i, time in enumerate(times):
        newest = time if i in in_time else newest
        found.append(newest)
    return found


def first_of_each(events: Iterable[EventRow], key_of: Callable[[EventRow], object]) -> list[EventRow]:
    """Of events with one key the first."""
    found: dict[object, EventRow] = {}
    for event in events:
        found.setdefault(key_of(event), event)
    return list(found.values())


def numbers(tiles: Sequence[object], most: int, held: int, about: int) -> list[int]:
    """How many values can have come when the tiles held so many of them; several where a tile was full, nearest first.

    Args: tiles: the tile of each value, in the order of arrival; most: what one holds; about: how many had come, judged
        by the events of the tiles.

    >>> numbers("aab", 9, 2, 3), numbers("aaab", 2, 2, 3), numbers("aaab", 2, 3, 3)
    ([2], [3, 2], [4])
    """
    own, after = Counter[object](), [0]
    for tile in tiles:
        own[tile] += 1
        after.append(after[-1] + (own[tile] <= most))
    if after[-1] == len(tiles):
        return [held]
    # One that displaces another is a message of its own: for a moment the tile holds one more.
    nearest = min(abs(n - held) for n in after)
    return nsmallest(NEAREST, (n for n, k in enumerate(after) if abs(k - held) == nearest), lambda n: abs(n - about))


@dataclass(frozen=True)
class Readable:
    """The events that can have been readable: `certain` ones were, of `recent` ones those of one of `sets`.

    sets: bit i for event i of `recent`; the likeliest first, each once.
    """

    certain: Sequence[EventRow]
    recent: Sequence[EventRow]
    sets: Iterator[int]

    def events(self, chosen: int) -> list[EventRow]:
        """All of one set.

        >>> Readable([{"id": 0}], [{"id": 1}, {"id": 2}], iter(())).events(0b10)
        [{'id': 0}, {'id': 2}]
        """
        return [*self.certain, *(e for i, e in enumerate(self.recent) if chosen >> i & 1)]


def readable(events: Sequence[EventRow], seen: int, tile_of: Callable[[EventRow], object]) -> Readable:
    """What can have been readable when `seen` of `events` were; no set where there are not so many.

    Args: events: in the likeliest order, those that had arrived; tile_of: what an event is stored under.
    """
    if seen > len(events):
        return Readable((), events, iter(()))
    first = max(0, seen - NEAREST)
    recent = events[first : seen + NEAREST]
    partitions, tiles = [e["partition"] for e in recent], [tile_of(e) for e in recent]
    ways = [_chains(partitions), _chains(tiles), _chains([*zip(partitions, tiles, strict=True)])]
    # In the order of a single partition only tiles can be overtaken.
    ways = ways if len(ways[0]) > 1 else ways[1:2]
    return Readable(events[:first], recent, _each_once(ways, seen - first))


def _chains(keys: Sequence[object]) -> list[list[int]]:
    """The places of each key, which become readable in order."""
    found: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return list(found.values())


def _each_once(ways: Sequence[Sequence[Sequence[int]]], seen: int) -> Iterator[int]:
    known = set[int]()
    for chains in ways:
        for chosen in islice(_nearest_first(chains, seen), MOST_ORDERS):
            if chosen not in known:
                known.add(chosen)
                yield chosen


def _nearest_first(chains: Sequence[Sequence[int]], seen: int) -> Iterator[int]:
    """Sets of `seen` places, of each chain its first ones: those that are nearest to the first `seen` places first.

    From one set to the next, the last of a chain is exchanged for the next of another (a search by uniform cost).

    >>> [f"{chosen:04b}" for chosen in _nearest_first([[0, 2], [1, 3]], 2)]
    ['0011', '0101', '1010']
    """
    own = [sum(1 << place for place in chain) for chain in chains]
    plain = (1 << seen) - 1
    queue, known = [(0, plain)], {plain}
    while queue:
        cost, chosen = heappop(queue)
        yield chosen
        give, take = [], []
        for c, (chain, mask) in enumerate(zip(chains, own, strict=True)):
            taken = (chosen & mask).bit_count()
            # What was given is not taken back, and the other way round.
            if taken and chain[taken - 1] < seen:
                give.append((c, chain[taken - 1]))
            if taken < len(chain) and chain[taken] >= seen:
                take.append((c, chain[taken]))
        for c, gone in give:
            without = chosen ^ 1 << gone
            for d, come in take:
                moved = without | 1 << come
                if c != d and moved not in known:
                    known.add(moved)
                    heappush(queue, (cost + come - gone, moved))

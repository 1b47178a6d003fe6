"""What an answer could see: features from the events that were readable when it was made. Slow; for what differs.

The reader (`lamina.store.reader`) merges the batch tiles, which end at `through`, with the speed tiles from there on.
The batch tiles hold what had been archived and stood before `through`; of the speed tiles an answer logs how many
events they held (`seen`). The first `seen` to arrive were readable, or others where the order was lost on the way
(`jobs.spark.arrivals`), which is looked for where the likeliest order explains nothing. A tile holds all of its events,
those after the request too. A request that finds itself in the store, because it was sent twice, is not explained: the
parity job leaves such answers out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Literal

from jobs.spark.arrivals import Readable, first_of_each, in_order, numbers, readable
from lamina.clock import day_of
from lamina.contracts.aggregates import Aggregate
from lamina.contracts.features import Entity, EventSource, WindowFeature
from lamina.semantics.events import EventRow, holds, time_of, value_of
from lamina.semantics.plan import KEYED, Plan, State, TileSpec, states_of
from lamina.semantics.reference import Value, aggregate_events, as_streamed, in_window, without_duplicates
from lamina.semantics.sketch import kept

Cause = Literal["stale", "early"]
"""stale: an event was not readable yet. early: one of the same tile, later than the request, was readable already."""

Tiles = tuple[tuple[int, int], ...]
"""Start in epoch ms and number of events of each tile, oldest first."""

ADDED_UP = ("count", "total", "decayed_count")
"""Aggregates of which several events give the sum of what each gives."""


@dataclass(frozen=True)
class Answer:
    """An answer as far as its features go. `values` are those that differ from what was recomputed."""

    request_id: str
    event_id: str
    at_ms: int
    seen: Mapping[str, int]
    through: Mapping[str, int]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Explanation:
    """The value that the readable events give, and why it is the one that was served."""

    cause: Cause
    value: Value


class _ByTime:
    """Events of a source, each id once, found by their id and by their time."""

    def __init__(self, source: EventSource, events: Iterable[EventRow]) -> None:
        self.events = sorted(events, key=partial(time_of, source))
        self._times = [time_of(source, e) for e in self.events]
        self._by_id = {value_of(e, source.id): e for e in self.events}

    def of_id(self, event_id: str) -> list[EventRow]:
        """The event with this id, if there is one."""
        return [self._by_id[event_id]] if event_id in self._by_id else []

    def between(self, begin_ms: int, end_ms: int) -> list[EventRow]:
        """Those from `begin_ms` on and before `end_ms`."""
        return self.events[bisect_left(self._times, begin_ms) : bisect_left(self._times, end_ms)]


class EntityHistory:
    """All archived events of one entity, and what of them an answer could see.

    Args: arrived: events by source name, those of each partition in order of arrival, duplicates and all, each with
        `ingested` (the day it was archived, ISO), `partition` and `offset` (None where it was imported).
    """

    def __init__(self, plan: Plan, entity: Entity, arrived: Mapping[str, Sequence[EventRow]]) -> None:
        self._features = [f for f in plan.features.window_features if f.view.entity == entity]
        self._plan = plan
        self._arrived: dict[str, Sequence[EventRow]] = {}
        self._streamed: dict[str, list[EventRow]] = {}
        self._once: dict[tuple[str, str | None, int | None], _ByTime] = {}
        for source in dict.fromkeys(f.view.source for f in self._features):
            events = self._arrived[source.name] = arrived.get(source.name, ())
            # Imported events never went through the stream.
            streamed = in_order(source, [e for e in events if e["offset"] is not None])
            self._streamed[source.name] = as_streamed(source, streamed)

    def explain(self, served: Answer, same: Callable[[WindowFeature, Value, Value], bool]) -> dict[str, Explanation]:
        """The features among `served.values` whose value the readable events give, with that value.

        Args: same: whether two values of a feature count as equal.
        """
        groups: dict[tuple[TileSpec, State | None], list[WindowFeature]] = {}
        for f in self._features:
            if f.name in served.values:
                tile_spec = self._plan.tile_spec_of(f)
                # Values of a keyed state are fields of their own in the store, and counted apart.
                state = states_of(f.aggregate)[0] if f.aggregate.kind in KEYED else None
                groups.setdefault((tile_spec, state), []).append(f)
        found: dict[str, Explanation] = {}
        for (tile_spec, state), features in groups.items():
            found |= self._explain(served, tile_spec, state, features, same)
        return found

    def tiles(self, feature: WindowFeature, served: Answer) -> tuple[Tiles, Tiles]:
        """The tiles in the feature's window: of what was readable in the order of arrival, and of all events."""
        view, source = feature.view, feature.view.source
        tile_spec = self._plan.tile_spec_of(feature)
        state = states_of(feature.aggregate)[0] if feature.aggregate.kind in KEYED else None
        speed, *_ = self._speed(served, tile_spec, state)
        first = speed.events(next(speed.sets, -1))  # all, where no set is possible
        readable = [*self._batch(feature, served), *_in_tiles(feature, first, served)]
        once = self._standing(source, served.at_ms)
        around = once.between(*tile_bounds(feature, served.at_ms))
        everything = [e for e in around if in_window(feature, time_of(source, e), served.at_ms)]
        own = once.of_id(served.event_id) if view.include_request else []
        return _tiles(tile_spec, [*readable, *own]), _tiles(tile_spec, everything)

    def _explain(
        self,
        served: Answer,
        tile_spec: TileSpec,
        state: State | None,
        features: Sequence[WindowFeature],
        same: Callable[[WindowFeature, Value, Value], bool],
    ) -> dict[str, Explanation]:
        request = self._standing(tile_spec.source, served.at_ms).of_id(served.event_id)
        others = [[*self._batch(f, served), *(request if f.view.include_request else [])] for f in features]
        best: dict[str, Explanation] = {}
        for speed in self._speed(served, tile_spec, state):
            candidates = [
                _Candidates(f, served, own, speed, partial(same, f, served.values[f.name]))
                for f, own in zip(features, others, strict=True)
            ]
            for chosen in speed.sets:
                found: dict[str, Explanation] = {}
                for left, (f, own) in zip(count(len(features) - 1, -1), zip(features, candidates, strict=True)):
                    if explanation := own.explanation(chosen):
                        found[f.name] = explanation
                    elif len(found) + left <= len(best):
                        break
                if len(found) == len(features):
                    return found
                best = max(best, found, key=len)
        return best

    def _batch(self, feature: WindowFeature, served: Answer) -> list[EventRow]:
        """Events of the batch tiles in the feature's window, without the request."""
        through = served.through.get(self._plan.tile_spec_of(feature).key)
        if through is None:
            return []
        source = feature.view.source
        begin, end = tile_bounds(feature, served.at_ms)
        stood = self._standing(source, through - 1, before=day_of(through).isoformat())
        return [e for e in stood.between(begin, min(end, through)) if value_of(e, source.id) != served.event_id]

    def _standing(self, source: EventSource, known_ms: int, before: str | None = None) -> _ByTime:
        """Each id once, as it stood at `known_ms` by what had been archived before a day, ISO."""
        key = (source.name, before, known_ms if source.revisions else None)
        if key not in self._once:
            events = (e for e in self._arrived[source.name] if before is None or str(e["ingested"]) < before)
            self._once[key] = _ByTime(source, without_duplicates(source, events, known_ms))
        return self._once[key]

    def _speed(self, served: Answer, tile_spec: TileSpec, state: State | None) -> list[Readable]:
        """Events in the speed tiles that were read; more than one where it is not known how many."""
        source, through = tile_spec.source, served.through.get(tile_spec.key, 0)
        own = tile_spec.keyed[tile_spec.keyed.index(state)] if state in self._plan.counted(tile_spec) else None
        if tile_spec.seen_label(own) not in served.seen:
            own = None  # its values were not counted: taken as read together with the tile
        arrived = [e for e in self._arrived_before(source, served) if time_of(source, e) >= through]
        events, seen = [e for e in arrived if _counted(own, e)], served.seen.get(tile_spec.seen_label(own), 0)
        tile_of = self._tile_of(tile_spec, own)
        if own is None or tile_spec.counts_all(own):
            return [readable(events, seen, tile_of)]
        # A field a value, so the first event with it counts.
        first = first_of_each(events, tile_of)
        together = arrived[: served.seen.get(tile_spec.seen_label(), 0)]
        about = len(first_of_each([e for e in together if _counted(own, e)], tile_of))
        start_of = self._tile_of(tile_spec, None)
        counts = numbers([start_of(e) for e in first], kept(own.size), seen, about)
        return [readable(first, n, tile_of) for n in counts]

    def _arrived_before(self, source: EventSource, served: Answer) -> Iterator[EventRow]:
        """Streamed events but for the request, which is sent only after its features were read, and those behind it."""
        closed: object = None
        for event in self._streamed[source.name]:
            if value_of(event, source.id) == served.event_id:
                closed = event["partition"]
            elif closed is None or event["partition"] != closed:
                yield event

    def _tile_of(self, tile_spec: TileSpec, state: State | None) -> Callable[[EventRow], object]:
        written = self._plan.speed_of(tile_spec) or tile_spec

        def tile(event: EventRow) -> object:
            start = written.start_ms(time_of(tile_spec.source, event))
            return (start, value_of(event, state.column or "")) if state else start

        return tile


class _Candidates:
    """The value of a feature by which of the recent events were readable.

    Args: others: events that count in any case; is_served: whether a value is the one that was served.
    """

    def __init__(
        self,
        feature: WindowFeature,
        served: Answer,
        others: Sequence[EventRow],
        speed: Readable,
        is_served: Callable[[Value], bool],
    ) -> None:
        self._feature, self._served, self._is_served = feature, served, is_served
        self._certain = [*others, *_in_tiles(feature, speed.certain, served)]
        self._inside = {i: e for i, e in enumerate(speed.recent) if _in_tiles(feature, [e], served)}
        self._mask = sum(1 << i for i in self._inside)
        self._added_up = _added_up(feature, self._certain, self._inside, served.at_ms)
        self._known: dict[int, Explanation | None] = {}

    def explanation(self, chosen: int) -> Explanation | None:
        """The served value from these events, None where they give another."""
        chosen &= self._mask
        if chosen not in self._known:
            self._known[chosen] = self._explanation([i for i in self._inside if chosen >> i & 1])
        return self._known[chosen]

    def _explanation(self, some: Sequence[int]) -> Explanation | None:
        # Going through all events of a busy key hundreds of times takes minutes: most sets are told apart by a sum.
        if self._added_up and not self._is_served(self._added_up(some)):
            return None
        value, early = _value(self._feature, [*self._certain, *map(self._inside.__getitem__, some)], self._served)
        return Explanation("early" if early else "stale", value) if self._is_served(value) else None


def _added_up(
    feature: WindowFeature, certain: Sequence[EventRow], inside: Mapping[int, EventRow], at_ms: int
) -> Callable[[Iterable[int]], float] | None:
    """What some of the events `inside` make with the `certain` ones, by what each adds; None where it is no sum."""
    aggregate, source = feature.aggregate, feature.view.source

    def value(events: Sequence[EventRow]) -> float:
        return float(aggregate_events(aggregate, source, events, at_ms))  # type: ignore[arg-type]

    if aggregate.kind in ADDED_UP:
        all_certain, alone = value(certain), {i: value([e]) for i, e in inside.items()}
        return lambda some: all_certain + sum(alone[i] for i in some)
    if aggregate.kind != "distinct" or (known := value(certain)) + len(inside) > (aggregate.cap or 0):
        return None
    # Up to its cap a set counts exactly.
    before, values = {_distinct(aggregate, e) for e in certain}, {i: _distinct(aggregate, e) for i, e in inside.items()}
    return lambda some: known + len({values[i] for i in some} - before - {None})


def _distinct(aggregate: Aggregate, event: EventRow) -> object:
    return value_of(event, aggregate.column or "") if holds(aggregate.where, event) else None


def _tiles(tile_spec: TileSpec, events: Sequence[EventRow]) -> Tiles:
    counts = Counter(tile_spec.start_ms(time_of(tile_spec.source, e)) for e in events)
    return tuple(sorted(counts.items()))


def _in_tiles(feature: WindowFeature, events: Iterable[EventRow], served: Answer) -> list[EventRow]:
    """Those of `events` whose tiles are in the feature's window, without the request."""
    source, (begin, end) = feature.view.source, tile_bounds(feature, served.at_ms)
    return [e for e in events if begin <= time_of(source, e) < end and value_of(e, source.id) != served.event_id]


def _value(feature: WindowFeature, events: Sequence[EventRow], served: Answer) -> tuple[Value, bool]:
    """The value over `events`, and whether one of them is in the window by its tile only."""
    source = feature.view.source
    early = any(
        not in_window(feature, time_of(source, e), served.at_ms)
        for e in events
        if value_of(e, source.id) != served.event_id
    )
    return aggregate_events(feature.aggregate, source, events, served.at_ms), early


def tile_bounds(feature: WindowFeature, at_ms: int) -> tuple[int, int]:
    """From when on and before when the tiles are that a window holds which is asked for at `at_ms`.

    >>> from lamina.definitions.fraud import USER_VELOCITY
    >>> tile_bounds(USER_VELOCITY.features[0], 3_610_500)  # of an hour, by tiles of a second
    (11000, 3611000)
    """
    resolution = feature.resolution.ms
    newest = at_ms - at_ms % resolution - feature.view.delay.ms
    begin, end = ((at // resolution + 1) * resolution for at in (newest - feature.window.ms, newest))
    return begin, end


def _counted(state: State | None, event: EventRow) -> bool:
    """Whether the event is counted by the state: by a distinct one, only when it adds a value."""
    return state is None or (holds(state.where, event) and value_of(event, state.column or "") is not None)

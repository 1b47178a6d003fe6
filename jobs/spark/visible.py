"""What an answer could see: features from the events that were readable when it was made. Slow; for what differs.

The reader (`lamina.store.reader`) merges the batch tiles, which end at `through`, with the speed tiles from there on.
The batch tiles hold what had been archived and stood before `through`; of the speed tiles an answer logs how many
events they held (`seen`). The stream job reads the events of a user in the order of Kafka, so the first `seen` were
readable. Two things blur that order: each tile is a message of its own on the way to the store, so an event can be
readable while an earlier one of another tile is not (looked for only where the plain order explains nothing); and a
tile holds all of its events, those after the request too. A request that finds itself in the store, because it was sent
twice, is not explained: the parity job leaves such answers out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from lamina.clock import day_of
from lamina.contracts.features import Entity, EventSource, WindowFeature
from lamina.semantics.events import EventRow, holds, value_of
from lamina.semantics.plan import KEYED, Plan, State, TileSpec, states_of
from lamina.semantics.reference import Value, aggregate_events, as_streamed, in_window, without_duplicates

Cause = Literal["stale", "early"]
"""stale: an event was not readable yet. early: one of the same tile, later than the request, was readable already."""

Tiles = tuple[tuple[int, int], ...]
"""Start in epoch ms and number of events of each tile, oldest first."""

LAST_EVENTS = 16
"""How many of the newest events are tried as the ones that were overtaken."""
MAX_ORDERS = 600


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


class EntityHistory:
    """All archived events of one entity, and what of them an answer could see.

    Args: arrived: events by source name in order of arrival, duplicates and all, each with `ingested` (the day it was
        archived, ISO) and `offset` (None where it was imported).
    """

    def __init__(self, plan: Plan, entity: Entity, arrived: Mapping[str, Sequence[EventRow]]) -> None:
        self._features = [f for f in plan.features.window_features if f.view.entity == entity]
        self._plan = plan
        self._arrived: dict[str, Sequence[EventRow]] = {}
        self._streamed: dict[str, list[EventRow]] = {}
        self._once: dict[tuple[str, str | None, int | None], list[EventRow]] = {}
        for source in dict.fromkeys(f.view.source for f in self._features):
            events = self._arrived[source.name] = arrived.get(source.name, ())
            # Imported events never went through the stream.
            self._streamed[source.name] = as_streamed(source, (e for e in events if e["offset"] is not None))

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
        speed = next(self._speed(served, tile_spec, state))
        readable = [e for part in (self._batch(served, tile_spec), speed) for e in _in_tiles(feature, part, served)]
        once = self._standing(source, served.at_ms)
        request = [e for e in once if value_of(e, source.id) == served.event_id]
        everything = [e for e in once if in_window(feature, _int(e, source.timestamp), served.at_ms)]
        own = request if view.include_request else []
        return _tiles(tile_spec, [*readable, *own]), _tiles(tile_spec, everything)

    def _explain(
        self,
        served: Answer,
        tile_spec: TileSpec,
        state: State | None,
        features: Sequence[WindowFeature],
        same: Callable[[WindowFeature, Value, Value], bool],
    ) -> dict[str, Explanation]:
        once = self._standing(tile_spec.source, served.at_ms)
        request = [e for e in once if value_of(e, tile_spec.source.id) == served.event_id]
        batch = self._batch(served, tile_spec)
        best: dict[str, Explanation] = {}
        for speed in self._speed(served, tile_spec, state):
            found = {}
            for f in features:
                own = request if f.view.include_request else []
                value, early = _value(f, [*_in_tiles(f, batch, served), *_in_tiles(f, speed, served), *own], served)
                if same(f, served.values[f.name], value):
                    found[f.name] = Explanation("early" if early else "stale", value)
            if len(found) == len(features):
                return found
            best = max(best, found, key=len)
        return best

    def _batch(self, served: Answer, tile_spec: TileSpec) -> list[EventRow]:
        """Events in the batch tiles that were read."""
        through = served.through.get(tile_spec.key)
        if through is None:
            return []
        source = tile_spec.source
        stood = self._standing(source, through - 1, before=day_of(through).isoformat())
        return [e for e in stood if _int(e, source.timestamp) < through]

    def _standing(self, source: EventSource, known_ms: int, before: str | None = None) -> list[EventRow]:
        """Each id once, as it stood at `known_ms` by what had been archived before a day, ISO."""
        key = (source.name, before, known_ms if source.revisions else None)
        if key not in self._once:
            events = (e for e in self._arrived[source.name] if before is None or str(e["ingested"]) < before)
            self._once[key] = without_duplicates(source, events, known_ms)
        return self._once[key]

    def _speed(self, served: Answer, tile_spec: TileSpec, state: State | None) -> Iterator[list[EventRow]]:
        """Events in the speed tiles that were read: in the order of arrival first, then in orders that tiles allow."""
        source, through = tile_spec.source, served.through.get(tile_spec.key, 0)
        if state not in self._plan.counted(tile_spec):
            state = None  # its values came with the tile, or are left out uncounted: taken as read together with it
        events = [e for e in self._streamed[source.name] if _int(e, source.timestamp) >= through and _counted(state, e)]
        kept = tile_spec.keyed[tile_spec.keyed.index(state)] if state else None
        seen = served.seen.get(tile_spec.seen_label(kept), 0)
        return arrivals(events, seen, self._before(source.id, events, served), self._tile_of(tile_spec, state))

    def _tile_of(self, tile_spec: TileSpec, state: State | None) -> Callable[[EventRow], object]:
        written = self._plan.speed_of(tile_spec) or tile_spec

        def tile(event: EventRow) -> object:
            start = written.start_ms(_int(event, tile_spec.source.timestamp))
            return (start, value_of(event, state.column or "")) if state else start

        return tile

    @staticmethod
    def _before(id_column: str, speed: Sequence[EventRow], served: Answer) -> int:
        """How many events arrived before the request; it is sent only after its features were read."""
        ids = [value_of(e, id_column) for e in speed]
        return ids.index(served.event_id) if served.event_id in ids else len(ids)


def _tiles(tile_spec: TileSpec, events: Sequence[EventRow]) -> Tiles:
    counts = Counter(tile_spec.start_ms(_int(e, tile_spec.source.timestamp)) for e in events)
    return tuple(sorted(counts.items()))


def _in_tiles(feature: WindowFeature, events: Sequence[EventRow], served: Answer) -> list[EventRow]:
    """Those of `events` whose tiles are in the feature's window, without the request."""
    source = feature.view.source
    return [
        e
        for e in events
        if in_tiles(feature, _int(e, source.timestamp), served.at_ms) and value_of(e, source.id) != served.event_id
    ]


def _value(feature: WindowFeature, events: Sequence[EventRow], served: Answer) -> tuple[Value, bool]:
    """The value over `events`, and whether one of them is in the window by its tile only."""
    source = feature.view.source
    early = any(
        not in_window(feature, _int(e, source.timestamp), served.at_ms)
        for e in events
        if value_of(e, source.id) != served.event_id
    )
    return aggregate_events(feature.aggregate, source, events, served.at_ms), early


def in_tiles(feature: WindowFeature, ts: int, at_ms: int) -> bool:
    """Whether the tile of an event at `ts` is in the window asked for at `at_ms`; not for the request itself.

    >>> from lamina.definitions.fraud import USER_VELOCITY
    >>> hour = USER_VELOCITY.features[0]
    >>> [in_tiles(hour, ts, 3_610_500) for ts in (10_999, 11_000, 3_610_999, 3_611_000)]
    [False, True, True, False]
    """
    resolution = feature.resolution.ms
    end = at_ms - at_ms % resolution - feature.view.delay.ms
    return end - feature.window.ms < ts - ts % resolution <= end


def arrivals(
    events: Sequence[EventRow], seen: int, before: int, tile_of: Callable[[EventRow], object]
) -> Iterator[list[EventRow]]:
    """Sets of `seen` events that can have been readable at once, the likeliest first: the first `seen` to arrive.

    Args: events: in order of arrival; before: how many of them came before the request; tile_of: what an event is
        stored under; within one tile events become readable in order.
    """
    yield list(events[:seen])
    missing = before - seen
    if missing <= 0:
        return
    recent: dict[object, list[int]] = {}
    for i in range(before - 1, max(-1, before - 1 - LAST_EVENTS), -1):
        recent.setdefault(tile_of(events[i]), []).append(i)
    for dropped in islice(_late(list(recent.values()), missing), MAX_ORDERS):
        gone = set(dropped)
        yield [e for i, e in enumerate(events[:before]) if i not in gone]


def _late(tiles: Sequence[Sequence[int]], missing: int) -> Iterator[list[int]]:
    """Every way in which `missing` events can be late where each tile lacks its newest ones, the newest tiles first.

    >>> list(_late([[5, 3], [4]], 2))
    [[5, 3], [5, 4]]
    """
    if not missing:
        yield []
    elif tiles:
        newest, *others = tiles
        for n in range(min(missing, len(newest)), -1, -1):
            for rest in _late(others, missing - n):
                yield [*newest[:n], *rest]


def _counted(state: State | None, event: EventRow) -> bool:
    """Whether the event is counted by the state: by a distinct one, only when it adds a value."""
    return state is None or (holds(state.where, event) and value_of(event, state.column or "") is not None)


def _int(event: EventRow, column: str) -> int:
    return int(str(value_of(event, column)))

"""The one meaning of every feature, written to be read: each value straight from the events, no tiles, no states, no
merging.

Slow on purpose. Every engine is compared with it, and it is compared with nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from lamina.contracts.aggregates import Aggregate
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    EventSource,
    FeatureSet,
    Membership,
    Ratio,
    Revisions,
    WindowFeature,
)
from lamina.semantics.events import EventRow, holds, request_value, time_of, value_of
from lamina.semantics.sketch import different, hash_of

Value = float | str | list[float] | list[str] | None
_FINISH: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "minimum": min,
    "maximum": max,
    "std": statistics.pstdev,
}


def without_duplicates(source: EventSource, events: Iterable[EventRow], known_ms: int | None = None) -> list[EventRow]:
    """Of each id the first event to arrive; of a source with revisions the one that stands at `known_ms`, at last if
    None.
    """
    told = source.revisions
    found: dict[object, EventRow] = {}
    for event in events:
        if told is None:
            found.setdefault(value_of(event, source.id), event)
            continue
        at, identity = int(str(value_of(event, told.known))), value_of(event, source.id)
        if known_ms is not None and at > known_ms:
            continue
        other = found.get(identity)
        # The later to arrive stands where nothing else tells two apart.
        if other is None or _standing(told, event) >= _standing(told, other):
            found[identity] = event
    return list(found.values())


def _standing(told: Revisions, event: EventRow) -> tuple[int, int]:
    return -told.rank(value_of(event, told.by)), int(str(value_of(event, told.known)))


def as_streamed(source: EventSource, events: Iterable[EventRow]) -> list[EventRow]:
    """What the stream counts of `events`: the first to arrive of each id, or of each id and verdict."""
    told = source.revisions
    found: dict[object, EventRow] = {}
    for event in events:
        identity = value_of(event, source.id)
        found.setdefault((identity, value_of(event, told.verdict)) if told else identity, event)
    return list(found.values())


def in_window(feature: WindowFeature, ts: int, at_ms: int) -> bool:
    """Whether an event at `ts` is in the feature's window asked for at `at_ms`, both in epoch milliseconds.

    >>> from lamina.definitions.fraud import USER_VELOCITY
    >>> hour = USER_VELOCITY.features[0]
    >>> [in_window(hour, ts, 3_610_500) for ts in (10_999, 11_000, 3_610_500, 3_610_501)]
    [False, True, True, False]
    """
    view, resolution, delay = feature.view, feature.resolution.ms, feature.view.delay.ms
    floor = ts - ts % resolution
    end = at_ms - at_ms % resolution - delay
    if floor <= end - feature.window.ms:
        return False
    if delay:
        return floor <= end
    return ts <= at_ms if view.include_request else ts < at_ms


def evaluate(feature: WindowFeature, arrived: Iterable[EventRow], key: str, at_ms: int) -> Value:
    """The value of a windowed feature of entity `key` at `at_ms`, from all events of its source in order of arrival."""
    view = feature.view
    events = [
        e
        for e in without_duplicates(view.source, arrived, at_ms)
        if value_of(e, view.entity.key) == key and in_window(feature, time_of(view.source, e), at_ms)
    ]
    return aggregate_events(feature.aggregate, view.source, events, at_ms)


def aggregate_events(aggregate: Aggregate, source: EventSource, events: Sequence[EventRow], at_ms: int) -> Value:
    """`aggregate` over exactly these events, asked for at `at_ms`."""
    events = sorted(
        (e for e in events if holds(aggregate.where, e)),
        key=lambda e: (time_of(source, e), str(value_of(e, source.id))),
    )
    if aggregate.column is None:
        return _of_times(aggregate, [time_of(source, e) for e in events], at_ms)
    values = [v for e in events if (v := value_of(e, aggregate.column)) is not None]
    match aggregate.kind:
        case "distinct":
            assert aggregate.cap, "distinct says how many values it counts exactly"
            return different({int(hash_of(str(v)), 16) for v in values}, aggregate.cap)
        case "last_k":
            return [_plain(v) for v in reversed(values)][: aggregate.k]  # type: ignore[return-value]
        case "total":
            return float(sum(values))  # type: ignore[arg-type]
        case "first":
            return _plain(values[0]) if values else None
        case "last":
            return _plain(values[-1]) if values else None
        case kind:
            return _FINISH[kind]([float(v) for v in values]) if values else None  # type: ignore[arg-type]


def _plain(value: object) -> str | float:
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _of_times(aggregate: Aggregate, times: Sequence[int], at_ms: int) -> Value:
    """An aggregate that needs only the times of its events, oldest first."""
    match aggregate.kind:
        case "first_time":
            return float(min(times)) if times else None
        case "last_time":
            return float(max(times)) if times else None
        case "session_count":
            assert aggregate.gap, "a session has a gap"
            n, begin = 0, at_ms
            for ts in reversed(times):
                if begin - ts > aggregate.gap.ms:
                    break
                n, begin = n + 1, ts
            return float(n)
        case "decayed_count":
            assert aggregate.half_life, "a decayed count has a half-life"
            return float(sum(2.0 ** ((ts - at_ms) / aggregate.half_life.ms) for ts in times))
        case _:
            return float(len(times))


def evaluate_all(
    features: FeatureSet, arrived: Mapping[str, Sequence[EventRow]], request: EventRow, at_ms: int
) -> dict[str, Value]:
    """Every feature of `features` for one request at `at_ms`.

    Args: arrived: events in order of arrival by the name of their source, the request itself among them.
    """
    values: dict[str, Value] = {
        f.name: evaluate(f, arrived.get(f.view.source.name, ()), str(value_of(request, f.view.entity.key)), at_ms)
        for f in features.window_features
    }
    return values | derived(features, values, request, at_ms)


def derived(features: FeatureSet, values: Mapping[str, Value], request: EventRow, at_ms: int) -> dict[str, Value]:
    """The features that follow from those of windows, in `values`, and from the request."""
    own: dict[str, Value] = {f.name: request_value(f, request, at_ms) for f in features.request_features}
    picked: dict[str, Value] = {c.name: chosen(c, values, request) for c in features.chosen}
    known = {**values, **own, **picked}
    found: dict[str, Value] = {r.name: ratio(r, known) for r in features.ratios}
    found.update((e.name, elapsed(e, known, at_ms)) for e in features.elapsed)
    found.update(picked)
    found.update((m.name, membership(m, values, request)) for m in features.memberships)
    found.update(own)
    return found


def ratio(definition: Ratio, values: Mapping[str, Value]) -> float | None:
    """The quotient, or the definition's default where the denominator is 0 or either part is missing."""
    top, bottom = values[definition.numerator], values[definition.denominator]
    if not bottom or top is None:
        return definition.default
    return float(top) / float(bottom)  # type: ignore[arg-type]


def elapsed(definition: Elapsed, values: Mapping[str, Value], at_ms: int) -> float | None:
    """Seconds from the time that a feature holds to that of another, or to `at_ms`; None where one is missing."""
    since, until = values[definition.since], values[definition.until] if definition.until else at_ms
    return None if since is None or until is None else (float(until) - float(since)) / 1000  # type: ignore[arg-type]


def chosen(definition: Chosen, values: Mapping[str, Value], request: EventRow) -> Value:
    """The value of the feature that the request's column names, or the default where it names none."""
    part = definition.part(value_of(request, definition.column))
    if part is not None:
        return values[part]
    return None if definition.default is None else float(definition.default)


def membership(definition: Membership, values: Mapping[str, Value], request: EventRow) -> float | None:
    """1.0 where the list holds the request's column, 0.0 where it does not, None where the column is missing."""
    value, held = value_of(request, definition.column), values[definition.of]
    return None if value is None else float(isinstance(held, list) and value in held)


def equal_numbers(a: float, b: float, *, relative: float = 1e-9, absolute: float = 1e-9) -> bool:
    """Whether two values say the same, but for the order of additions; whole ones have to be equal.

    >>> equal_numbers(0.1 + 0.2, 0.3), equal_numbers(1_533_686_400_000.0, 1_533_686_400_001.0)
    (True, False)
    """
    if float(a).is_integer() and float(b).is_integer():
        return a == b  # a relative tolerance would take two times of the same second for equal
    return math.isclose(a, b, rel_tol=relative, abs_tol=absolute)

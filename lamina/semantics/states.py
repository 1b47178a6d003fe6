"""Partial states of single events: what one event adds to its tile."""

from __future__ import annotations

from math import nan

from lamina.contracts.features import EventSource
from lamina.semantics.events import EventRow, holds, time_of, value_of
from lamina.semantics.plan import State, TileSpec
from lamina.semantics.sketch import hash_of

StateValue = float | str | list[str] | None
PART_SEPARATOR = "\x1e"
TIMESTAMP_DIGITS = 13


def encode_text(ts_ms: int, event_id: str, value: object) -> str:
    r"""The text of a first, last or last_k state; texts compare as (time, id) do.

    >>> encode_text(1533686400000, "a", 1.5) < encode_text(1533686400000, "b", 0.5)
    True
    """
    return f"{ts_ms:0{TIMESTAMP_DIGITS}d}{PART_SEPARATOR}{event_id}{PART_SEPARATOR}{value}"


def state_of_event(state: State, tile_spec: TileSpec, event: EventRow) -> StateValue:
    r"""What `event` alone contributes to `state` of its tile.

    Numeric states: a float, NaN where a minimum, maximum or time is missing; texts: `time\\x1eid\\x1evalue` or None;
    keyed: a list of one hash (distinct), of one text (last_k) or of nothing.
    """
    source = tile_spec.source
    taken = holds(state.where, event)
    value = value_of(event, state.column) if state.column else event
    present = taken and value is not None
    match state.kind:
        case "count":
            return float(present)
        case "sum":
            return float(value) if present else 0.0  # type: ignore[arg-type]
        case "m2":
            return 0.0
        case "min" | "max":
            return float(value) if present else nan  # type: ignore[arg-type]
        case "first_time" | "last_time":
            return float(time_of(source, event)) if taken else nan
        case "decayed":
            return 2.0 ** (time_of(source, event) % tile_spec.resolution.ms / _ms(state)) if taken else 0.0
        case "distinct":
            return [hash_of(str(value))] if present else []
        case "last_k":
            return [_dated(source, event, value)] if present else []
        case "first" | "last":
            return _dated(source, event, value) if present else None


def _dated(source: EventSource, event: EventRow, value: object) -> str:
    return encode_text(time_of(source, event), str(value_of(event, source.id)), value)


def _ms(state: State) -> int:
    assert state.half_life is not None, "a decayed state has a half-life"
    return state.half_life.ms

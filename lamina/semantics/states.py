"""Partial states of single events: what one event adds to its tile."""

from __future__ import annotations

from math import nan

from lamina.contracts.features import EventSource
from lamina.semantics.events import EventRow, holds, value_of
from lamina.semantics.plan import State, Tiling

StateValue = float | str | list[str] | None
PART_SEPARATOR = "\x1e"
TIMESTAMP_DIGITS = 13


def encode_text(ts_ms: int, event_id: str, value: object) -> str:
    r"""The text of a first or last state; texts compare as (time, id) do.

    >>> encode_text(1533686400000, "a", 1.5) < encode_text(1533686400000, "b", 0.5)
    True
    """
    return f"{ts_ms:0{TIMESTAMP_DIGITS}d}{PART_SEPARATOR}{event_id}{PART_SEPARATOR}{value}"


def state_of_event(state: State, source: EventSource, event: EventRow) -> StateValue:
    r"""What `event` alone contributes to `state`.

    Numeric states: a float, NaN where a minimum, maximum or time is missing; texts: `time\\x1eid\\x1evalue` or None;
    distinct: a list of one value or none.
    """
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
        case "last_time":
            return float(value_of(event, source.timestamp)) if taken else nan  # type: ignore[arg-type]
        case "distinct":
            return [str(value)] if present else []
        case "first" | "last":
            if not present:
                return None
            ts = int(value_of(event, source.timestamp))  # type: ignore[call-overload]
            return encode_text(ts, str(value_of(event, source.id)), value)


def states_of_event(tiling: Tiling, event: EventRow) -> dict[str, StateValue]:
    """What `event` alone contributes to every state of `tiling`, by the state's label."""
    return {s.label: state_of_event(s, tiling.source, event) for s in (*tiling.states, *tiling.distinct)}

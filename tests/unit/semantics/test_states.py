"""What a single event adds to its tile."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

import pytest

from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import minutes, seconds
from lamina.definitions.fraud import FEATURES, USER_HISTORY
from lamina.semantics.plan import State, TileSpec, make_plan
from lamina.semantics.states import StateValue, encode_text, state_of_event

DAILY: TileSpec = make_plan(FEATURES).tile_spec_of(USER_HISTORY.features[0])
NOON = 1_533_729_600_000
PAID = {"transaction_id": "t1", "timestamp": NOON, "amount": 2.5, "country": "FR", "merchant_id": "m1"}
FRENCH, BELGIAN = Predicate("country", "=", "FR"), Predicate("country", "=", "BE")
TEXT = "1533729600000\x1et1\x1e"


@pytest.mark.parametrize(
    ("state", "taken", "left_out"),
    [
        (State("count"), 1.0, 0.0),
        (State("count", "amount"), 1.0, 0.0),
        (State("sum", "amount"), 2.5, 0.0),
        (State("m2", "amount"), 0.0, 0.0),
        (State("min", "amount"), 2.5, nan),
        (State("max", "amount"), 2.5, nan),
        (State("first_time"), NOON, nan),
        (State("last_time"), NOON, nan),
        (State("first", "amount"), f"{TEXT}2.5", None),
        (State("last", "country"), f"{TEXT}FR", None),
        (State("distinct", "merchant_id", size=3), ["ae7be26cdaa742ca"], []),
        (State("last_k", "merchant_id", size=3), [f"{TEXT}m1"], []),
    ],
    ids=lambda x: x.label if isinstance(x, State) else "",
)
def test_an_event_counts_where_its_condition_holds_and_its_value_is_there(
    state: State, taken: StateValue, left_out: StateValue
) -> None:
    def of(where: Predicate | None, **changes: object) -> StateValue:
        return state_of_event(State(state.kind, state.column, where, size=state.size), DAILY, {**PAID, **changes})

    found = [of(None), of(FRENCH), of(BELGIAN), of(None, **{state.column: None} if state.column else {})]
    wanted = [taken, taken, left_out, left_out if state.column else taken]
    for own, value in zip(found, wanted, strict=True):
        assert own == value or (isinstance(value, float) and isnan(value) and isinstance(own, float) and isnan(own))


@pytest.mark.parametrize(
    ("half_life", "after_ms", "value"),
    [
        (seconds(10), 0, 1.0),
        (seconds(10), 10_000, 2.0),
        (seconds(10), 45_000, 2.0**4.5),
        (minutes(1), 30_000, 2.0**0.5),
    ],
)
def test_a_decayed_event_counts_from_the_start_of_its_tile(half_life: object, after_ms: int, value: float) -> None:
    tile_spec = replace(DAILY, resolution=minutes(1))
    event = {**PAID, "timestamp": NOON + after_ms}
    assert state_of_event(State("decayed", half_life=half_life), tile_spec, event) == pytest.approx(value)  # type: ignore[arg-type]
    left_out = State("decayed", where=BELGIAN, half_life=half_life)  # type: ignore[arg-type]
    assert state_of_event(left_out, tile_spec, event) == 0.0


def test_texts_order_as_times_do_from_the_first_millisecond_on() -> None:
    texts = [encode_text(at, "a", 1) for at in (0, 9, 10, 999, 1000, NOON)]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {13 + 4}

"""What the peers compute by hand is what lamina's semantics say of the same events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.agreement import different, same
from benchmarks.peers.tiles import key_of, payload_of, start_of, with_event
from lamina.definitions.fraud import FEATURES, USER
from lamina.semantics.plan import make_plan
from lamina.semantics.states import states_of_event
from lamina.store.tiles import encode_speed

(TILING,) = (t for t in make_plan(FEATURES).speed if t.entity == USER)
KEY = key_of(TILING.id, "u", 5_000).encode()
EVENTS = st.builds(
    lambda number, amount, merchant, country, place, ms: {
        "transaction_id": f"t{number:03d}",
        "user_id": "u",
        "amount": amount,
        "merchant_id": merchant,
        "country": country,
        "timestamp": 5_000 + ms,
        **({"location": {"lat": place[0], "lon": place[1]}} if place else {}),
    },
    number=st.integers(0, 99),
    amount=st.floats(0.01, 10_000),
    merchant=st.sampled_from("abc"),
    country=st.sampled_from(("FR", "DE")),
    place=st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    ms=st.integers(0, 999),
)


def by_states(events: list[dict[str, Any]]) -> bytes:
    """The payload as the semantics of single events add up to it."""
    each = [states_of_event(TILING, event) for event in events]
    mean = sum(e["amount"] for e in events) / len(events)
    found: list[Any] = []
    for state in TILING.states:
        values = [v for s in each if (v := s[state.label]) is not None and v == v]
        match state.kind:
            case "count" | "sum":
                found.append(sum(values))
            case "m2":
                found.append(sum((e["amount"] - mean) ** 2 for e in events))
            case _:
                found.append(max(values, default=None))
    sets = [[v for s in each for v in s[k.label]] for k in TILING.keyed]  # type: ignore[union-attr]
    return encode_speed(len(events), found, sets)


def tile_of(events: list[dict[str, Any]]) -> bytes:
    tile = None
    for event in events:
        tile = with_event(tile, event) or tile
    assert tile is not None
    return payload_of(tile).encode()


@given(st.lists(EVENTS, min_size=1, max_size=6, unique_by=lambda e: e["transaction_id"]))
def test_a_tile_holds_what_its_events_add_up_to(events: list[dict[str, Any]]) -> None:
    assert {start_of(event) for event in events} == {5_000}
    assert same(TILING, KEY, tile_of(events), by_states(events))


@given(st.lists(EVENTS, min_size=1, max_size=4, unique_by=lambda e: e["transaction_id"]), st.data())
def test_a_duplicate_changes_nothing(events: list[dict[str, Any]], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(events))
    assert tile_of([*events, again]) == tile_of(events)


def test_tiles_that_differ_are_counted() -> None:
    pay = {"transaction_id": "t", "amount": 2.5, "merchant_id": "m", "country": "FR", "timestamp": 5_001}
    ours = tile_of([pay])
    more = tile_of([pay, pay | {"transaction_id": "t2"}])
    wrong = {
        "amount": tile_of([pay | {"amount": 2.6}]),
        "merchant": tile_of([pay | {"merchant_id": "n"}]),
        "place": tile_of([pay | {"location": {"lat": 1.0, "lon": 2.0}}]),
        "events": more,
    }
    assert different(TILING, [(KEY, ours)], [(KEY, ours)]) == 0
    assert different(TILING, [(KEY, ours), (KEY, more)], [(KEY, more)]) == 0
    for theirs in wrong.values():
        assert different(TILING, [(KEY, ours)], [(KEY, theirs)]) == 1
    assert different(TILING, [(KEY, ours)], [(b"user:v\t" + KEY.partition(b"\t")[2], ours)]) == 1

"""What the peers compute by hand is what lamina's semantics say of the same events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.agreement import different
from benchmarks.peers.tiles import key_of, payload_of, start_of, with_event
from benchmarks.tiles import speed_writes
from lamina.definitions.fraud import FEATURES, USER
from lamina.semantics.plan import make_plan

(TILE_SPEC,) = (t for t in make_plan(FEATURES).speed if t.entity == USER)
KEY = key_of(TILE_SPEC.id, "u", 5_000).encode()
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
    ms=st.integers(0, 1999),
)


def tile_of(events: list[dict[str, Any]]) -> bytes:
    tile = None
    for event in events:
        tile = with_event(tile, event) or tile
    assert tile is not None
    return payload_of(tile).encode()


@given(st.lists(EVENTS, min_size=1, max_size=6, unique_by=lambda e: e["transaction_id"]), st.data())
def test_the_messages_are_those_of_the_speed_layer(events: list[dict[str, Any]], data: st.DataObject) -> None:
    arrived = [*events, data.draw(st.sampled_from(events), label="a duplicate")]
    tiles: dict[int, list[dict[str, Any]]] = {}
    for event in arrived:
        tiles.setdefault(start_of(event), []).append(event)
    theirs = [(key_of(TILE_SPEC.id, "u", start).encode(), tile_of(own)) for start, own in tiles.items()]
    writes = speed_writes([TILE_SPEC], {"transactions": arrived}, 0)
    ours = [(f"{write.key}\t{write.field}".encode(), write.payload) for write in writes]
    assert len(ours) == len(theirs)
    assert different(TILE_SPEC, ours, theirs) == 0


def test_tiles_that_differ_are_counted() -> None:
    pay = {"transaction_id": "t", "amount": 2.5, "merchant_id": "m", "country": "FR", "timestamp": 1_735_689_604_000}
    ours = tile_of([pay])
    more = tile_of([pay, pay | {"transaction_id": "t2"}])
    wrong = {
        "amount": tile_of([pay | {"amount": 2.6}]),
        "merchant": tile_of([pay | {"merchant_id": "n"}]),
        "place": tile_of([pay | {"location": {"lat": 1.0, "lon": 2.0}}]),
        "time": tile_of([pay | {"timestamp": 1_735_689_604_001}]),
        "events": more,
    }
    assert different(TILE_SPEC, [(KEY, ours)], [(KEY, ours)]) == 0
    assert different(TILE_SPEC, [(KEY, ours), (KEY, more)], [(KEY, more)]) == 0
    for theirs in wrong.values():
        assert different(TILE_SPEC, [(KEY, ours)], [(KEY, theirs)]) == 1
    assert different(TILE_SPEC, [(KEY, ours)], [(b"user:v\t" + KEY.partition(b"\t")[2], ours)]) == 1

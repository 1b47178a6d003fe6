"""What a minute or an hour of tiles adds up to is what its events make at once; no store is needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.tiles import batch_columns, speed_writes
from lamina.contracts.features import Duration, hours, minutes
from lamina.semantics.events import EventRow
from lamina.semantics.plan import TileSpec, make_plan
from lamina.semantics.sketch import kept
from lamina.store.folded import Folder
from lamina.store.tiles import decode_speed, encode_speed, event_count, keyed_field, tile_field
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate

PAID = generate(1, n=40).transactions[0]
FINE = [t for t in make_plan(EVERYTHING).speed if t.source.name == "transactions"]
CASES = [(t, length) for t, length in product(FINE, (minutes(1), hours(1))) if t.resolution.s < length.s]


def paid(tile_spec: TileSpec, span: Duration, n: int = 12) -> list[EventRow]:
    """Events of one entity in one span, an odd one: it and the one before are halves of one twice as long."""
    begin_ms = START_MS - START_MS % (2 * span.ms) + 3 * span.ms
    return [
        {
            **PAID,
            "transaction_id": f"t{i}",
            "user_id": f"u{i}",
            "merchant_id": f"m{i}",
            "amount": 20.0 + i if i != 1 else None,
            "country": "FR" if i else "BE",
            "timestamp": begin_ms + i * (span.ms // (n + 1)),
            tile_spec.entity.key: "the same",
        }
        for i in range(n)
    ]


def written(tile_spec: TileSpec, events: list[EventRow]) -> dict[bytes, bytes]:
    return {w.field.encode(): w.payload for w in speed_writes([tile_spec], {"transactions": events}, 0)}


@pytest.mark.parametrize(("tile_spec", "length"), CASES, ids=lambda x: x.key if isinstance(x, TileSpec) else x.label)
def test_a_sum_is_the_tile_of_its_events_at_once(tile_spec: TileSpec, length: Duration) -> None:
    events = paid(tile_spec, length)
    payload = Folder([tile_spec]).sum(tile_spec.id, written(tile_spec, events), length.ms)
    ((_, want),) = batch_columns(replace(tile_spec, resolution=length), events, 10**13).items()
    (start,) = want.starts
    found = decode_speed([tile_spec], {tile_field(tile_spec, start).encode(): payload}, {})[tile_spec.id].tiles
    assert list(found.n) == [12] == [event_count(payload)]
    for own, expected in zip(found.numeric, want.numeric, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9)
    assert found.texts == want.texts
    sets = [sorted(own[0], reverse=s.kind == "last_k") for s, own in zip(tile_spec.keyed, found.sets, strict=True)]
    assert sets == [column[0] for column in want.sets]


def test_sets_of_a_sum_hold_no_more_than_an_answer_needs() -> None:
    for tile_spec, length in CASES:
        events = paid(tile_spec, length, 30)
        payload = Folder([tile_spec]).sum(tile_spec.id, written(tile_spec, events), length.ms)
        start = tile_spec.start_ms(int(str(events[0]["timestamp"])))
        found = decode_speed([tile_spec], {tile_field(tile_spec, start).encode(): payload}, {})[tile_spec.id].tiles
        for state, (values,) in zip(tile_spec.keyed, found.sets, strict=True):
            most = kept(state.size) if state.kind == "distinct" else state.size
            assert len(values) <= most, state.label
    sizes = {s.size for tile_spec, _ in CASES for s in tile_spec.keyed}
    assert min(sizes) < 12, "something is left out, or nothing was tested"


def test_a_sum_says_how_many_events_its_values_count() -> None:
    """Where each value has a field of its own, that may be written before or after that of its tile."""
    tile_spec = next(t for t in FINE if t.keyed and not t.inline)
    start = START_MS - START_MS % 3_600_000
    values = {"00000000000000aa": b"2", "00000000000000bb": b"2"}
    fields = {tile_field(tile_spec, start).encode(): encode_speed(5, [None] * len(tile_spec.states))}
    fields |= {keyed_field(tile_spec, start, 0, value).encode(): n for value, n in values.items()}
    fields |= {keyed_field(tile_spec, start + tile_spec.resolution.ms, 0, "00000000000000aa").encode(): b"1"}
    payload = Folder([tile_spec]).sum(tile_spec.id, fields, 3_600_000)
    found = decode_speed([tile_spec], {tile_field(tile_spec, start).encode(): payload}, {})[tile_spec.id]
    assert [list(counts) for counts in found.keyed_n] == [[5], *([0] for _ in tile_spec.keyed[1:])]
    assert sorted(found.tiles.sets[0][0]) == sorted(values)


def test_a_folder_knows_what_it_was_given() -> None:
    first, *others = FINE
    folder = Folder([first])
    assert folder.knows(first.id)
    assert not any(folder.knows(t.id) for t in others)
    assert folder.sum(first.id, {}, 60_000) == b""

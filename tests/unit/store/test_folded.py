"""What a minute or an hour of tiles adds up to is what its events make at once; no store is needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.tiles import batch_columns, speed_writes
from lamina.contracts.features import Duration, hours, minutes
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Tiling, make_plan
from lamina.semantics.sketch import kept
from lamina.store.folded import Folder
from lamina.store.tiles import decode_speed, encode_speed, event_count, keyed_field, tile_field
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate

PAID = generate(1, n=40).transactions[0]
FINE = [t for t in make_plan(EVERYTHING).speed if t.source.name == "transactions"]
CASES = [(t, length) for t, length in product(FINE, (minutes(1), hours(1))) if t.resolution.s < length.s]


def paid(tiling: Tiling, span: Duration, n: int = 12) -> list[EventRow]:
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
            tiling.entity.key: "the same",
        }
        for i in range(n)
    ]


def written(tiling: Tiling, events: list[EventRow]) -> dict[bytes, bytes]:
    return {w.field.encode(): w.payload for w in speed_writes([tiling], {"transactions": events}, 0)}


@pytest.mark.parametrize(("tiling", "length"), CASES, ids=lambda x: x.key if isinstance(x, Tiling) else x.label)
def test_a_sum_is_the_tile_of_its_events_at_once(tiling: Tiling, length: Duration) -> None:
    events = paid(tiling, length)
    payload = Folder([tiling]).sum(tiling.id, written(tiling, events), length.ms)
    ((_, want),) = batch_columns(replace(tiling, resolution=length), events, 10**13).items()
    (start,) = want.starts
    found = decode_speed([tiling], {tile_field(tiling, start).encode(): payload}, {})[tiling.id].tiles
    assert list(found.n) == [12] == [event_count(payload)]
    for own, expected in zip(found.numeric, want.numeric, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9)
    assert found.texts == want.texts
    sets = [sorted(own[0], reverse=s.kind == "last_k") for s, own in zip(tiling.keyed, found.sets, strict=True)]
    assert sets == [column[0] for column in want.sets]


def test_sets_of_a_sum_hold_no_more_than_an_answer_needs() -> None:
    for tiling, length in CASES:
        events = paid(tiling, length, 30)
        payload = Folder([tiling]).sum(tiling.id, written(tiling, events), length.ms)
        start = tiling.start_ms(int(str(events[0]["timestamp"])))
        found = decode_speed([tiling], {tile_field(tiling, start).encode(): payload}, {})[tiling.id].tiles
        for state, (values,) in zip(tiling.keyed, found.sets, strict=True):
            most = kept(state.size) if state.kind == "distinct" else state.size
            assert len(values) <= most, state.label
    sizes = {s.size for tiling, _ in CASES for s in tiling.keyed}
    assert min(sizes) < 12, "something is left out, or nothing was tested"


def test_a_sum_says_how_many_events_its_values_count() -> None:
    """Where each value has a field of its own, that may be written before or after that of its tile."""
    tiling = next(t for t in FINE if t.keyed and not t.inline)
    start = START_MS - START_MS % 3_600_000
    values = {"00000000000000aa": b"2", "00000000000000bb": b"2"}
    fields = {tile_field(tiling, start).encode(): encode_speed(5, [None] * len(tiling.states))}
    fields |= {keyed_field(tiling, start, 0, value).encode(): n for value, n in values.items()}
    fields |= {keyed_field(tiling, start + tiling.resolution.ms, 0, "00000000000000aa").encode(): b"1"}
    payload = Folder([tiling]).sum(tiling.id, fields, 3_600_000)
    found = decode_speed([tiling], {tile_field(tiling, start).encode(): payload}, {})[tiling.id]
    assert [list(counts) for counts in found.keyed_n] == [[5], *([0] for _ in tiling.keyed[1:])]
    assert sorted(found.tiles.sets[0][0]) == sorted(values)


def test_a_folder_knows_what_it_was_given() -> None:
    first, *others = FINE
    folder = Folder([first])
    assert folder.knows(first.id)
    assert not any(folder.knows(t.id) for t in others)
    assert folder.sum(first.id, {}, 60_000) == b""

"""Tiles of many entities lie in one column a state, however each entity's were written."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.errors import CodecError
from lamina.semantics.plan import make_plan
from lamina.store.blobs import encode_batch, open_batch
from lamina.store.sheet import ENTITY_MS, Sheet
from lamina.store.tiles import TileColumns

MERCHANTS = next(t for t in make_plan(FEATURES).tile_specs if t.key.startswith("merchant:transactions"))
"""Three numeric states."""


def columns(*rows: tuple[int, int, float, float, float]) -> TileColumns:
    starts, n, *numeric = zip(*rows, strict=True)
    return TileColumns(starts, n, numeric)


def test_blobs_that_leave_other_states_out_and_young_tiles_come_in_order() -> None:
    batch = [
        columns((1000, 2, 2.0, 0.5, 7.0), (3000, 4, 4.0, 0.25, 8.0)),  # the first state equals the counts
        columns((2000, 1, 3.0, 1.0, 1.0)),  # the others do
        None,
    ]
    speed = [columns((5000, 1, 1.0, -1.0, 9.0)), None, columns((1000, 6, 6.0, 6.0, 6.5))]
    packed = [None if c is None else open_batch(encode_batch(4000, c)) for c in batch]
    assert [p.same for p in packed if p is not None] == [[0], [1, 2]]
    sheet = Sheet(MERCHANTS, packed, speed, np.array([1, 0]))
    starts = [(0, 1000), (0, 3000), (0, 5000), (1, 2000), (2, 1000)]
    assert sheet.keys.tolist() == [entity * ENTITY_MS + start for entity, start in starts]
    assert [sheet.numeric(k).tolist() for k in range(3)] == [
        [2.0, 4.0, 1.0, 3.0, 6.0, 0.0],
        [0.5, 0.25, -1.0, 1.0, 6.0, 0.0],
        [7.0, 8.0, 9.0, 1.0, 6.5, 0.0],
    ]
    _, places = sheet.end(1000, 2000, np.array([4500, 5999]))
    assert places.tolist() == [4, 2]


def test_blobs_alone_lie_as_they_are() -> None:
    packed = open_batch(encode_batch(4000, columns((1000, 2, 2.0, 0.5, 7.0), (3000, 4, 4.0, 0.25, 8.0))))
    sheet = Sheet(MERCHANTS, [packed], [None], np.array([0]))
    assert sheet.keys.tolist() == [1000, 3000]
    assert [sheet.numeric(k).tolist() for k in range(3)] == [[2.0, 4.0, 0.0], [0.5, 0.25, 0.0], [7.0, 8.0, 0.0]]


def test_without_any_tiles() -> None:
    sheet = Sheet(MERCHANTS, [None], [None], np.array([0]))
    assert sheet.keys.tolist() == []
    assert sheet.numeric(2).tolist() == [0.0]


def test_a_blob_that_is_not_as_its_header_says_is_refused_with_the_next_step() -> None:
    blob = encode_batch(4000, columns((1000, 2, 2.5, 0.5, 7.0)))
    packed = open_batch(blob)._replace(rows=900)
    with pytest.raises(CodecError, match="features_daily"):
        Sheet(MERCHANTS, [packed], [None], np.array([0]))

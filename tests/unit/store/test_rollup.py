"""Fine tiles add up to what the events of a coarse tile make at once."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tiles import batch_columns, speed_writes
from lamina.definitions.fraud import FRAUD_LABELS
from lamina.semantics.plan import TileSpec, make_plan
from lamina.store.protocol import speed_key
from lamina.store.rollup import RolledUp, Rollup
from lamina.store.tiles import TileColumns, decode_speed
from tests.parity.everything import EVERYTHING
from tests.parity.generated import generate

PLAN = make_plan(EVERYTHING)
END_MS = 10**13
ARRIVED = generate(5).arrived
# Of each label one version: what becomes of several is another question than how tiles add up.
ARRIVED[FRAUD_LABELS.name] = list({e[FRAUD_LABELS.id]: e for e in ARRIVED[FRAUD_LABELS.name]}.values())


def _at_once(tile_spec: TileSpec) -> dict[str, TileColumns]:
    return batch_columns(tile_spec, ARRIVED[tile_spec.source.name], END_MS)


def _rolled_up(tile_spec: TileSpec, entity_id: str, from_ms: int = 0) -> RolledUp:
    speed = PLAN.speed_of(tile_spec)
    assert speed is not None
    key = speed_key(tile_spec.entity.name, entity_id)
    fields = {w.field.encode(): w.payload for w in speed_writes([speed], ARRIVED, 0) if w.key == key}
    return Rollup(tile_spec, speed)(decode_speed([speed], fields, {})[speed.id], from_ms)


@pytest.mark.parametrize("tile_spec", PLAN.streamed, ids=lambda t: t.key)
def test_every_state_adds_up(tile_spec: TileSpec) -> None:
    compared = 0
    for entity_id, want in _at_once(tile_spec).items():
        found = _rolled_up(tile_spec, entity_id).tiles
        assert (list(found.starts), list(found.n)) == (list(want.starts), list(want.n))
        for state, own, expected in zip(
            (s for s in tile_spec.states if s.numeric), found.numeric, want.numeric, strict=True
        ):
            np.testing.assert_allclose(own, list(expected), rtol=1e-9, atol=1e-9, err_msg=state.label)
        assert [list(column) for column in found.texts] == want.texts
        for state, sets, kept in zip(tile_spec.keyed, found.sets, want.sets, strict=True):
            order = sorted if state.kind == "distinct" else lambda values: sorted(values, reverse=True)
            # The batch layer keeps no more of them than a question needs.
            assert [order(set(own))[: len(few)] for own, few in zip(sets, kept, strict=True)] == kept, state.label
        compared += len(want.starts)
    assert compared > 10


def test_some_tile_specs_are_really_coarser() -> None:
    assert any(t.resolution != PLAN.speed_of(t).resolution for t in PLAN.streamed)  # type: ignore[union-attr]


def test_only_tiles_from_where_the_batch_layer_ends() -> None:
    tile_spec = next(t for t in PLAN.streamed if t.resolution != PLAN.speed_of(t).resolution)  # type: ignore[union-attr]
    entity_id = next(iter(_at_once(tile_spec)))
    whole = _rolled_up(tile_spec, entity_id)
    from_ms = whole.tiles.starts[2]
    late = _rolled_up(tile_spec, entity_id, from_ms)
    assert list(late.tiles.starts) == list(whole.tiles.starts)[2:]
    assert late.seen == sum(whole.tiles.n[2:]) < whole.seen

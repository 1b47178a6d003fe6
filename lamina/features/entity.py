"""Features of one entity by themselves, without a request, and the tiles that each value is made of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lamina.contracts.features import Entity, FeatureSet, WindowFeature
from lamina.errors import DefinitionError
from lamina.semantics.plan import Plan, State, TileSpec, make_plan, states_of
from lamina.semantics.reference import Value
from lamina.semantics.states import PART_SEPARATOR
from lamina.store.blobs import decode_batch
from lamina.store.protocol import OnlineStore, Snapshot
from lamina.store.reader import FeatureVector, Reader
from lamina.store.rollup import Rollup
from lamina.store.tiles import TileColumns, decode_speed


@dataclass(frozen=True)
class UsedTile:
    """A tile that took part in a value: the layer that made it, its start in epoch ms, its events, its states."""

    layer: str
    start_ms: int
    n: int
    states: Mapping[str, str]


@dataclass(frozen=True)
class EntityFeatures:
    """What is stored of one entity at a time: the values, how they were read, and the tiles behind each."""

    features: FeatureSet
    vector: FeatureVector
    tiles: Mapping[str, Sequence[UsedTile]]

    def value(self, name: str) -> Value:
        """The value of a feature; None where there is none."""
        return self.vector.values[name]


def features_of(features: FeatureSet, entity: str) -> FeatureSet:
    """The windowed features of one entity and what follows from them, none of which includes a request.

    Raises: DefinitionError: when the system has no such entity.

    >>> from lamina.definitions.fraud import FEATURES
    >>> {v.entity.name for v in features_of(FEATURES, "merchant").views}
    {'merchant'}
    """
    views = tuple(replace(v, include_request=False) for v in features.views if v.entity.name == entity)
    if not views:
        names = ", ".join(e.name for e in features.entities)
        raise DefinitionError(f"system {features.system!r} has no entity {entity!r}; it has {names}")
    own = {f.name for v in views for f in v.features}
    ratios = tuple(r for r in features.ratios if {*r.parts} <= own)
    elapsed = tuple(e for e in features.elapsed if {*e.parts} <= own)
    # The others are made from columns of a request.
    return FeatureSet(system=features.system, request=features.request, views=views, ratios=ratios, elapsed=elapsed)


def read_entity(
    store: OnlineStore, features: FeatureSet, entity: str, entity_id: str, at_ms: int, *, explain: bool = False
) -> EntityFeatures:
    """The features of one entity at `at_ms` from `store`, of events before that time.

    Raises: DefinitionError: when the system has no such entity; StoreUnavailable: when the store does not answer.
    """
    chosen = features_of(features, entity)
    plan = make_plan(chosen)
    reader = Reader(plan)
    request = {chosen.entities[0].key: entity_id}
    snapshot = store.read(reader.keys(request, at_ms))
    vector = reader.vector(snapshot, request, at_ms)
    tiles = {f.name: _used(plan, f, snapshot, at_ms) for f in chosen.window_features} if explain else {}
    return EntityFeatures(chosen, vector, tiles)


def _used(plan: Plan, feature: WindowFeature, snapshot: Snapshot, at_ms: int) -> list[UsedTile]:
    view, tile_spec = feature.view, plan.tile_spec_of(feature)
    end = tile_spec.start_ms(at_ms) - view.delay.ms
    found = []
    for layer, columns in _layers(plan, view.entity, tile_spec, snapshot):
        first = bisect_right(columns.starts, end - feature.window.ms)
        for k in range(first, bisect_right(columns.starts, end)):
            states = {s.label: _text(_state(tile_spec, s, columns, k)) for s in states_of(feature.aggregate)}
            found.append(UsedTile(layer, columns.starts[k], columns.n[k], states))
    return found


def _layers(plan: Plan, entity: Entity, tile_spec: TileSpec, snapshot: Snapshot) -> list[tuple[str, TileColumns]]:
    reply = snapshot.replies[plan.features.entities.index(entity)]
    found, from_ms = [], 0
    if blob := reply.batch.get(tile_spec.id):
        from_ms, columns = decode_batch(blob)
        found.append(("batch", columns))
    if speed := plan.speed_of(tile_spec):
        tiles = decode_speed((speed,), reply.speed, {speed.id: from_ms})[speed.id]
        found.append(("speed", Rollup(tile_spec, speed)(tiles, from_ms).tiles))
    return found


def _state(tile_spec: TileSpec, state: State, columns: TileColumns, k: int) -> object:
    if state in tile_spec.keyed:
        return columns.sets[tile_spec.keyed.index(state)][k]
    alike = [s for s in tile_spec.states if s.numeric == state.numeric]
    return (columns.numeric if state.numeric else columns.texts)[alike.index(state)][k]


def _text(value: object) -> str:
    """A state as a person reads it."""
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, str) and PART_SEPARATOR in value:
        ts, event, text = value.split(PART_SEPARATOR, 2)
        return f"{text} ({event}, {utc(int(ts))})"
    return (
        ", ".join(sorted(map(_text, value)))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else str(value)
    )


def utc(at_ms: int) -> str:
    """A time as text.

    >>> utc(1533686400000)
    '2018-08-08 00:00:00'
    """
    text = datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="milliseconds")
    return text.removesuffix("+00:00").removesuffix(".000")

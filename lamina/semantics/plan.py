"""What has to be kept so that every feature can be answered: definitions to tile specs, tile specs to partial states.

A *tile spec* is a tile spec: one entity, one source, one resolution, and the states that its views need. A *tile* holds
these states of one entity over `[start, start + resolution)`, a *window* is answered by merging tiles. Here with tiles
of a minute and a window of five:

    payments of user 7     5.0 7.0                1.0                   asked at 12:04:30, and at 12:05:30
    start of the tile      12:00  12:01  12:02  12:03  12:04  12:05
    count(*), sum(amount)  2, 12  none   1, 1   none   none   none
    window at 12:04:30     [=================================x          count 3, sum 13
    window at 12:05:30            [=================================x   count 1, sum 1

    >>> from lamina.contracts.aggregates import count, total
    >>> from lamina.contracts.features import FeatureView, minutes
    >>> from lamina.definitions.fraud import TRANSACTIONS, USER
    >>> from lamina.semantics import reference, states
    >>> asked = {"aggregates": (count("n"), total("amount", "sum")), "windows": (minutes(5),), "resolution": minutes(1)}
    >>> view = FeatureView(name="spend", entity=USER, source=TRANSACTIONS, owner="fraud", **asked)
    >>> tile_spec, = make_plan(FeatureSet(system="fraud", request=TRANSACTIONS, views=(view,))).tile_specs
    >>> tile_spec.key.partition("#")[0], [state.label for state in tile_spec.states]
    ('user:transactions@1m', ['count(*)', 'sum(amount)'])
    >>> noon, columns = 43_200_000, ("transaction_id", "user_id", "timestamp", "amount")
    >>> rows = [("a", "7", noon + 10_000, 5.0), ("b", "7", noon + 40_000, 7.0), ("c", "7", noon + 125_000, 1.0)]
    >>> payments = [dict(zip(columns, row)) for row in rows]
    >>> [(tile_spec.start_ms(p["timestamp"]) - noon) // 60_000 for p in payments]  # minutes after noon: its tile
    [0, 0, 2]
    >>> [[states.state_of_event(state, tile_spec, p) for state in tile_spec.states] for p in payments]  # what each adds
    [[1.0, 5.0], [1.0, 7.0], [1.0, 1.0]]
    >>> [[reference.evaluate(f, payments, "7", noon + at_ms) for f in view.features] for at_ms in (270_000, 330_000)]
    [[3.0, 13.0], [1.0, 1.0]]

Windows of one entity, source and resolution share a tile spec, so an event is aggregated once for all of them. A tile
spec's id carries a fingerprint of its states and of their views' versions: tiles of a changed meaning never mix with
old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from lamina.contracts.aggregates import Aggregate, Predicate
from lamina.contracts.features import Duration, Entity, EventSource, FeatureSet, Layers, WindowFeature

StateKind = Literal[
    "count", "sum", "m2", "min", "max", "first", "last", "first_time", "last_time", "decayed", "distinct", "last_k"
]
KEYED = ("distinct", "last_k")
TEXTS = ("first", "last")
MISSING_IS_NAN = ("min", "max", "first_time", "last_time")
INLINE_MS = 1000
"""Tiles up to this long hold the values of their keyed states themselves; few events share one, so it stays small."""

STATES_OF: dict[str, tuple[StateKind, ...]] = {
    "count": ("count",),
    "total": ("sum",),
    "mean": ("count", "sum"),
    "minimum": ("min",),
    "maximum": ("max",),
    "std": ("count", "sum", "m2"),
    "first": ("first",),
    "last": ("last",),
    "first_time": ("first_time",),
    "last_time": ("last_time",),
    "distinct": ("distinct",),
    "last_k": ("last_k",),
    "session_count": ("count", "first_time", "last_time"),
    "decayed_count": ("decayed",),
}


@dataclass(frozen=True)
class State:
    """A mergeable partial state of the events of one tile.

    count: events, or non-missing values of `column`; sum, min, max: of `column`; m2: sum of squared deviations from
    the tile's own mean; first, last: (time, id, value) of the first or last value; first_time, last_time: smallest and
    largest event time, ms; decayed: sum of 2^((time - start of the tile) / `half_life`); distinct: hashes of the
    values, the smallest `size + 1` where a tile is bounded; last_k: (time, id, value) of the newest `size` values.

    Views that share a tile spec share its states: the largest `size` and `horizon_s` (how far back it is asked for)
    decide, and whether some view asks with a delay; these are no part of what a state is.
    """

    kind: StateKind
    column: str | None = None
    where: Predicate | None = None
    half_life: Duration | None = None
    size: int = field(default=0, compare=False)
    horizon_s: int = field(default=0, compare=False)
    delayed: bool = field(default=False, compare=False)

    @cached_property
    def label(self) -> str:
        """The state in one word, unique within a tile spec.

        >>> State("sum", "amount", Predicate("country", "=", "FR")).label
        "sum(amount|country = 'FR')"
        >>> State("last_k", "item_id", size=5).label
        'last_k[5](item_id)'
        """
        name = f"{self.kind}[{self.half_life.s}s]" if self.half_life else self.kind
        name = f"{name}[{self.size}]" if self.size else name
        inner = self.column or "*"
        return f"{name}({inner}|{self.where.sql()})" if self.where else f"{name}({inner})"

    @cached_property
    def numeric(self) -> bool:
        """Whether a tile keeps it as one number (missing as NaN), not as text or a set."""
        return self.kind not in KEYED and self.kind not in TEXTS


def states_of(aggregate: Aggregate) -> tuple[State, ...]:
    """The states from which `aggregate` is finished, in the order of `STATES_OF`."""
    size = aggregate.cap or aggregate.k or 0
    return tuple(
        State(kind, aggregate.column, aggregate.where, aggregate.half_life, size) for kind in STATES_OF[aggregate.kind]
    )


@dataclass(frozen=True)
class TileSpec:
    """Tiles of one entity over one source at one resolution. Only non-empty tiles exist.

    states: kept as scalars of a tile. keyed: distinct and last_k, lists of values. versions: what else is part of the
    meaning: views' versions above the first, and how the speed layer writes values down.
    """

    entity: Entity
    source: EventSource
    resolution: Duration
    layers: Layers
    horizon_s: int
    states: tuple[State, ...]
    keyed: tuple[State, ...]
    versions: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Name of the tile spec in every store: source, resolution, fingerprint of the states.

        The part before `#` is for people; the part behind it keeps tiles of another meaning apart.
        """
        text = "\n".join(s.label for s in (*self.states, *self.keyed))
        text = "\n".join((text, *self.versions))
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:6]
        return f"{self.source.name}@{self.resolution.label}#{fingerprint}"

    @cached_property
    def key(self) -> str:
        """Name of the tile spec among those of all entities."""
        return f"{self.entity.name}:{self.id}"

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """How far back it is asked for, in seconds: its tiles, and each state of which blobs leave out what is older;
        then which of these are asked for with a delay.
        """
        pruned = [s for s in (*self.states, *self.keyed) if not s.numeric]
        return (self.horizon_s, *(s.horizon_s for s in pruned), *(int(s.delayed) for s in pruned))

    def start_ms(self, at_ms: int) -> int:
        """Start of the tile that holds `at_ms`."""
        return at_ms - at_ms % self.resolution.ms

    @cached_property
    def inline(self) -> bool:
        """Whether the speed layer writes the values of keyed states into the tile; if not, each has its own field."""
        return self.resolution.ms <= INLINE_MS and not self.entity.hot

    @cached_property
    def hashed(self) -> tuple[int, ...]:
        """Which of `keyed` are sets of hashes."""
        return tuple(i for i, state in enumerate(self.keyed) if state.kind == "distinct")

    def counts_all(self, state: State) -> bool:
        """Whether the fields of a keyed state count all of its events: a field a value, and no value is dropped."""
        return state.kind == "distinct" and not self.entity.hot and not self.inline

    def counts_apart(self, state: State) -> bool:
        """Whether it is told how much the fields of a keyed state hold: of a hot entity values, else events."""
        return state.kind == "distinct" and not self.inline

    def seen_label(self, state: State | None = None) -> str:
        """Name under which an answer logs how much it saw of the tile spec, or of one of its keyed states."""
        return f"{self.key}/{state.label}" if state else self.key


@dataclass(frozen=True)
class Plan:
    """The tile specs behind a feature set, and where each feature finds its own.

    tile_specs: of the batch layer. The speed layer keeps fewer of them, see `speed`.
    """

    features: FeatureSet
    tile_specs: tuple[TileSpec, ...]

    @cached_property
    def _by_group(self) -> dict[object, TileSpec]:
        return {(t.entity, t.source, t.resolution): t for t in self.tile_specs}

    @cached_property
    def _speed_by_key(self) -> dict[str, TileSpec]:
        """What the stream job keeps instead of each tile spec that it serves."""
        groups: dict[object, list[TileSpec]] = {}
        for tile_spec in sorted(self.streamed, key=lambda t: t.resolution.ms):
            groups.setdefault((tile_spec.entity, tile_spec.source), []).append(tile_spec)
        return {t.key: together for group in groups.values() for t, together in _speed_tile_specs(group)}

    def tile_spec_of(self, feature: WindowFeature) -> TileSpec:
        """The tile spec that answers `feature`."""
        return self._by_group[_group(feature)]

    def of_entity(self, entity: Entity) -> tuple[TileSpec, ...]:
        """The tile specs of one entity, in a fixed order."""
        return tuple(t for t in self.tile_specs if t.entity == entity)

    @property
    def streamed(self) -> tuple[TileSpec, ...]:
        """The tile specs that the speed layer continues beyond the batch layer."""
        return tuple(t for t in self.tile_specs if t.layers == Layers.BOTH)

    @property
    def speed(self) -> tuple[TileSpec, ...]:
        """The tile specs that the stream job keeps: of an entity and source the finest, with the states of all.

        A coarser tile is what its finer ones add up to, so one write an event is enough, and whoever reads it sees the
        event in all features or in none. A hot entity keeps each, as its finest tiles would be too many to add up.
        """
        return tuple(dict.fromkeys(self._speed_by_key[t.key] for t in self.streamed))

    def counted(self, tile_spec: TileSpec) -> tuple[State, ...]:
        """Keyed states of `tile_spec` of which events, or values, are counted apart from those of the tile."""
        speed = self.speed_of(tile_spec)
        return tuple(s for s in tile_spec.keyed if speed is not None and speed.counts_apart(s))

    def seen_labels(self, tile_spec: TileSpec) -> tuple[str, ...]:
        """Names of the numbers of speed-layer events that a decision logs: of the tile spec, of its counted states."""
        return (tile_spec.seen_label(), *map(tile_spec.seen_label, self.counted(tile_spec)))

    def speed_of(self, tile_spec: TileSpec) -> TileSpec | None:
        """The one of `speed` that continues `tile_spec`; None where the batch layer stands alone."""
        return self._speed_by_key.get(tile_spec.key)


_Group = tuple[Entity, EventSource, Duration]


def _group(feature: WindowFeature) -> _Group:
    return (feature.view.entity, feature.view.source, feature.resolution)


def _tile_spec(group: _Group, features: list[WindowFeature]) -> TileSpec:
    entity, source, resolution = group
    states = _widest(
        replace(s, horizon_s=f.horizon, delayed=f.view.delay.s > 0) for f in features for s in states_of(f.aggregate)
    )
    views = dict.fromkeys(f.view for f in features)
    return TileSpec(
        entity=entity,
        source=source,
        resolution=resolution,
        layers=Layers.BOTH if Layers.BOTH in (v.layers for v in views) else Layers.BATCH,
        horizon_s=max(f.horizon for f in features),
        states=tuple(s for s in states if s.kind not in KEYED),
        keyed=tuple(s for s in states if s.kind in KEYED),
        versions=tuple(sorted(f"{v.name} version {v.version}" for v in views if v.version > 1)),
    )


def _speed_tile_specs(alike: Sequence[TileSpec]) -> Iterator[tuple[TileSpec, TileSpec]]:
    """Each of some tile specs of one entity and source, finest first, and the speed tile spec that holds its tiles."""
    left = list(alike)
    while left:
        finest, *others = left
        taken = [t for t in others if not (t.entity.hot or t.resolution.ms % finest.resolution.ms)]
        together = _together([finest, *taken])
        yield from ((t, together) for t in (finest, *taken))
        left = [t for t in others if t not in taken]


def _together(tile_specs: Sequence[TileSpec]) -> TileSpec:
    """The first of some tile specs with the states of all."""
    states = _widest(s for t in tile_specs for s in (*t.states, *t.keyed))
    finest = replace(
        tile_specs[0],
        horizon_s=max(t.horizon_s for t in tile_specs),
        states=tuple(s for s in states if s.kind not in KEYED),
        keyed=tuple(s for s in states if s.kind in KEYED),
        versions=tuple(dict.fromkeys(v for t in tile_specs for v in t.versions)),
    )
    # Tiles that were written down in another way must not be taken for these.
    inline = ("values in the tile",) if finest.inline and finest.keyed else ()
    return replace(finest, versions=(*finest.versions, *inline))


def _widest(states: Iterable[State]) -> tuple[State, ...]:
    """Each state once, with all that is asked of it."""
    found: dict[State, State] = {}
    for state in states:
        known = found.get(state, state)
        found[state] = replace(
            state,
            size=max(state.size, known.size),
            horizon_s=max(state.horizon_s, known.horizon_s),
            delayed=state.delayed or known.delayed,
        )
    return tuple(found.values())


def make_plan(features: FeatureSet) -> Plan:
    """The tile specs that answer every feature of `features`.

    >>> from lamina.definitions.fraud import FEATURES
    >>> [t.key.partition("#")[0] for t in make_plan(FEATURES).tile_specs if t.entity.name == "merchant"]
    ['merchant:transactions@1s', 'merchant:fraud_labels@1s', 'merchant:fraud_reports@1h']
    """
    groups: dict[_Group, list[WindowFeature]] = {}
    for feature in features.window_features:
        groups.setdefault(_group(feature), []).append(feature)
    return Plan(features, tuple(_tile_spec(*own) for own in groups.items()))


def sources_of(plan: Plan, tile_specs: Iterable[TileSpec]) -> tuple[EventSource, ...]:
    """The distinct event sources of some tile specs, in order of first use."""
    return tuple(dict.fromkeys(t.source for t in tile_specs))

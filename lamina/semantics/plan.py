"""What has to be kept so that every feature can be answered: definitions to tilings, tilings to partial states.

Views of one entity, one source and one resolution share a tiling, so an event is aggregated once for all of them. A
tiling's id carries a fingerprint of its states: tiles of a changed meaning never mix with the old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lamina.contracts.aggregates import Aggregate, Predicate
from lamina.contracts.features import Duration, Entity, EventSource, FeatureSet, FeatureView, Layers

StateKind = Literal["count", "sum", "m2", "min", "max", "first", "last", "last_time", "distinct"]

STATES_OF: dict[str, tuple[StateKind, ...]] = {
    "count": ("count",),
    "total": ("sum",),
    "mean": ("count", "sum"),
    "minimum": ("min",),
    "maximum": ("max",),
    "std": ("count", "sum", "m2"),
    "first": ("first",),
    "last": ("last",),
    "last_time": ("last_time",),
    "distinct": ("distinct",),
}


@dataclass(frozen=True)
class State:
    """A mergeable partial state of the events of one tile.

    count: events, or non-missing values of `column`; sum, min, max: of `column`; m2: sum of squared deviations from
    the tile's own mean; first, last: (time, id, value) of the first or last value; last_time: largest event time, ms;
    distinct: set of values.
    """

    kind: StateKind
    column: str | None = None
    where: Predicate | None = None

    @property
    def label(self) -> str:
        """The state in one word, unique within a tiling.

        >>> State("sum", "amount", Predicate("country", "=", "FR")).label
        "sum(amount|country = 'FR')"
        """
        inner = self.column or "*"
        return f"{self.kind}({inner}|{self.where.sql()})" if self.where else f"{self.kind}({inner})"

    @property
    def numeric(self) -> bool:
        """Whether a tile keeps it as one number (missing as NaN), not as text or a set."""
        return self.kind in ("count", "sum", "m2", "min", "max", "last_time")


def states_of(aggregate: Aggregate) -> tuple[State, ...]:
    """The states from which `aggregate` is finished, in the order of `STATES_OF`."""
    return tuple(State(kind, aggregate.column, aggregate.where) for kind in STATES_OF[aggregate.kind])


@dataclass(frozen=True)
class Tiling:
    """Tiles of one entity over one source at one resolution. Only non-empty tiles exist."""

    entity: Entity
    source: EventSource
    resolution: Duration
    layers: Layers
    horizon_s: int
    states: tuple[State, ...]
    distinct: tuple[State, ...]

    @cached_property
    def id(self) -> str:
        """Name of the tiling in every store: source, resolution, fingerprint of the states.

        The part before `#` is for people; the part behind it keeps tiles of another meaning apart.
        """
        text = "\n".join(s.label for s in (*self.states, *self.distinct))
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:6]
        return f"{self.source.name}@{self.resolution.label}#{fingerprint}"

    @property
    def key(self) -> str:
        """Name of the tiling among those of all entities."""
        return f"{self.entity.name}:{self.id}"

    def start_ms(self, at_ms: int) -> int:
        """Start of the tile that holds `at_ms`."""
        return at_ms - at_ms % self.resolution.ms

    def seen_label(self, state: State | None = None) -> str:
        """Name under which a decision logs how many speed-layer events it saw, of the tiling or of a distinct state."""
        return f"{self.key}/{state.label}" if state else self.key


@dataclass(frozen=True)
class Plan:
    """The tilings behind a feature set, and where each view finds its own."""

    features: FeatureSet
    tilings: tuple[Tiling, ...]

    @cached_property
    def _by_view(self) -> dict[str, Tiling]:
        by_group = {(t.entity, t.source, t.resolution): t for t in self.tilings}
        return {v.name: by_group[_group(v)] for v in self.features.views}

    def tiling_of(self, view: FeatureView) -> Tiling:
        """The tiling that answers `view`."""
        return self._by_view[view.name]

    def of_entity(self, entity: Entity) -> tuple[Tiling, ...]:
        """The tilings of one entity, in a fixed order."""
        return tuple(t for t in self.tilings if t.entity == entity)

    @property
    def speed(self) -> tuple[Tiling, ...]:
        """The tilings that the stream job keeps."""
        return tuple(t for t in self.tilings if t.layers == Layers.BOTH)


def _group(view: FeatureView) -> tuple[Entity, EventSource, Duration]:
    return (view.entity, view.source, view.resolution)


def _tiling(views: list[FeatureView]) -> Tiling:
    entity, source, resolution = _group(views[0])
    states = dict.fromkeys(s for v in views for a in v.aggregates for s in states_of(a))
    return Tiling(
        entity=entity,
        source=source,
        resolution=resolution,
        layers=Layers.BOTH if any(v.layers == Layers.BOTH for v in views) else Layers.BATCH,
        horizon_s=max(v.horizon for v in views),
        states=tuple(s for s in states if s.kind != "distinct"),
        distinct=tuple(s for s in states if s.kind == "distinct"),
    )


def make_plan(features: FeatureSet) -> Plan:
    """The tilings that answer every view of `features`.

    >>> from lamina.definitions.fraud import FEATURES
    >>> [t.key.partition("#")[0] for t in make_plan(FEATURES).tilings]
    ['user:transactions@1s', 'user:transactions@1d', 'merchant:transactions@1s', 'merchant:fraud_labels@1s']
    """
    groups: dict[object, list[FeatureView]] = {}
    for view in features.views:
        groups.setdefault(_group(view), []).append(view)
    return Plan(features, tuple(_tiling(views) for views in groups.values()))


def sources_of(plan: Plan, tilings: Iterable[Tiling]) -> tuple[EventSource, ...]:
    """The distinct event sources of some tilings, in order of first use."""
    return tuple(dict.fromkeys(t.source for t in tilings))

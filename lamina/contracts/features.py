"""The nouns of a feature definition. A definition is data; Spark, Flink and the online reader interpret it.

The meaning of a window is one sentence: with `T = floor(t)` and `floor` rounding down to the window's resolution, a
window of length `w` asked for at time `t` holds the events with `T - w < floor(ts)` and `ts <= t`. A `delay` of `d`
moves both ends back and cuts both at whole tiles: `T - d - w < floor(ts) <= T - d`. A view without `include_request`
leaves the event that is being scored out of its own features: `ts < t`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal

from lamina.contracts.aggregates import Aggregate
from lamina.contracts.derived import Elapsed, Ratio, RequestFeature, Transform
from lamina.contracts.durations import NO_TIME, Duration, Window, days, hours, minutes, seconds
from lamina.contracts.names import complaints_of_columns, complaints_of_names
from lamina.contracts.revisions import Revisions
from lamina.errors import DefinitionError

__all__ = [
    "ColumnType",
    "Duration",
    "Elapsed",
    "Entity",
    "EventSource",
    "FeatureSet",
    "FeatureView",
    "Layers",
    "Ratio",
    "RequestFeature",
    "Revisions",
    "Transform",
    "Window",
    "WindowFeature",
    "days",
    "hours",
    "minutes",
    "seconds",
]

DAY_S = 86_400
HOT_RESOLUTION_S = 60
ColumnType = Literal["string", "double", "long", "boolean"]


class Layers(StrEnum):
    """Which engines keep a view's tiles: Spark alone, or Spark up to midnight and Flink from there on."""

    BATCH = "batch"
    BOTH = "both"


@dataclass(frozen=True)
class Entity:
    """A thing features describe. Column `key` of every event about it holds its id; Redis keys start with `name`.

    shared: another system describes the same things under this name; both say so, or neither is loaded. Their tiles lie
    side by side. hot: one id can have a thousand events a second, as a popular item has. Its views keep tiles of at
    least a minute, and the speed layer bounds what a tile holds.
    """

    name: str
    key: str
    hot: bool = False
    shared: bool = False


@dataclass(frozen=True)
class EventSource:
    """Events of one topic as feature views see them. `columns` maps a column, dotted where nested, to its type.

    `id` names the column by which duplicates are recognised, `timestamp` the event time in epoch milliseconds. An event
    without one of its columns breaks its contract, except for nested ones and those that are `optional`. Of each id the
    first event to arrive counts; with `revisions`, the one that stands at the time asked for. `recorded_as` is the name
    that the topic had when meanings of its features were first recorded: its events mean what they did under that one.
    """

    name: str
    topic: str
    id: str
    timestamp: str
    columns: Mapping[str, ColumnType]
    optional: tuple[str, ...] = ()
    revisions: Revisions | None = None
    recorded_as: str = ""

    def is_required(self, column: str) -> bool:
        """Whether every event has it."""
        return "." not in column and column not in self.optional

    def __hash__(self) -> int:
        return hash((self.name, self.topic))


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """Aggregates of one source per entity over windows, kept as tiles of `resolution`, or of a window's own.

    A feature is named `<aggregate>_<window>`; with `suffix=False`, which takes a single window, `<aggregate>`.
    `version` is raised when a feature changes its meaning and keeps its name. `stale_after` is how long the store
    may lack what belongs to the view before answers say that it is stale; see `lamina.store.staleness`.

    Raises: DefinitionError: when the definition cannot be right; the message says what to change.
    """

    name: str
    entity: Entity
    source: EventSource
    aggregates: tuple[Aggregate, ...]
    windows: tuple[Duration | Window, ...]
    resolution: Duration
    owner: str
    layers: Layers = Layers.BOTH
    delay: Duration = NO_TIME
    include_request: bool = False
    suffix: bool = True
    version: int = 1
    stale_after: Duration | None = None

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"feature view {self.name!r}: {complaint}")

    def _complaints(self) -> list[str]:
        found = []
        for resolution in dict.fromkeys((self.resolution, *(w.resolution for w in self.spans))):
            found += self._complaints_at(resolution)
        if self.source.revisions:
            found += [
                f"source {self.source.name!r}: {c}" for c in self.source.revisions.complaints(self.source.columns)
            ]
        if not self.windows:
            found.append("has no window: give at least one, such as windows=(hours(1),)")
        if self.version < 1:
            found.append(f"version {self.version}: versions begin with 1")
        if self.layers == Layers.BATCH and self.delay.s < DAY_S:
            found.append(
                "the batch layer ends at midnight, so that what is served would lack the newest events of what is "
                "trained on: add delay=days(1), or keep it fresh with layers=Layers.BOTH"
            )
        if not self.suffix and len(self.windows) > 1:
            found.append("suffix=False takes one window: the names of several would be equal")
        if self.include_request and self.delay.s:
            found.append("a delayed window never holds the request: leave include_request out")
        if self.entity.key not in self.source.columns:
            found.append(
                f"source {self.source.name!r} has no column {self.entity.key!r}, the key of {self.entity.name!r}"
            )
        elif not self.source.is_required(self.entity.key):
            found.append(f"{self.entity.key!r}, the key of {self.entity.name!r}, may be missing: make it required")
        for aggregate in self.aggregates:
            found.extend(aggregate.complaints(self.source.columns))
            if aggregate.gap and self.delay.s:
                found.append(f"{aggregate.name!r}: a delayed view does not know which session goes on: drop the delay")
        found += self._complaints_of_names()
        names = [aggregate.name for aggregate in self.aggregates]
        if len(set(names)) < len(names):
            found.append(f"two aggregates share a name: {sorted(n for n in set(names) if names.count(n) > 1)}")
        return found

    def _complaints_of_names(self) -> list[str]:
        source = self.source
        return [
            *complaints_of_names("view", [self.name]),
            *complaints_of_names("entity", [self.entity.name]),
            *complaints_of_names("source", [source.name]),
            *complaints_of_names("topic", [source.topic], topic=True),
            *complaints_of_names("aggregate", [a.name for a in self.aggregates]),
            *complaints_of_columns(source.name, source.columns),
        ]

    def _complaints_at(self, resolution: Duration) -> list[str]:
        found = []
        if resolution.s <= 0 or DAY_S % resolution.s:
            return [f"resolution {resolution.label} does not divide a day: take one such as 1s, 1m, 1h, 1d"]
        lengths = (self.delay, *(w.length for w in self.spans if w.resolution == resolution))
        for length in lengths:
            if length.s % resolution.s:
                found.append(f"resolution {resolution.label} does not divide {length.label}: take a finer resolution")
        if self.entity.hot and self.layers == Layers.BOTH and resolution.s < HOT_RESOLUTION_S:
            found.append(
                f"{self.entity.name!r} is hot, and tiles of {resolution.label} would be too many: take at least 1m"
            )
        if len(lengths) > 1:
            for aggregate in self.aggregates:
                found.extend(aggregate.complaints_at(resolution))
        return found

    @cached_property
    def spans(self) -> tuple[Window, ...]:
        """The windows, each with its resolution."""
        return tuple(w if isinstance(w, Window) else Window(w, self.resolution) for w in self.windows)

    @cached_property
    def features(self) -> tuple[WindowFeature, ...]:
        """The features of this view, aggregate by aggregate, window by window."""
        return tuple(
            WindowFeature(f"{a.name}_{w.length.label}" if self.suffix else a.name, self, a, w.length, w.resolution)
            for a in self.aggregates
            for w in self.spans
        )

    @property
    def horizon(self) -> int:
        """How far back the view looks from the time asked for, in seconds."""
        return max(w.length.s for w in self.spans) + self.delay.s


@dataclass(frozen=True)
class WindowFeature:
    """One aggregate of a view over one of its windows, answered from tiles of `resolution`."""

    name: str
    view: FeatureView
    aggregate: Aggregate
    window: Duration
    resolution: Duration

    @property
    def horizon(self) -> int:
        """How far back it looks from the time asked for, in seconds."""
        return self.window.s + self.view.delay.s


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """All that one system knows: the request's source, its feature views and what is derived from them.

    `model_features` are the inputs of its model, in order. A system without them has features and no model.
    """

    system: str
    request: EventSource
    views: tuple[FeatureView, ...]
    ratios: tuple[Ratio, ...] = ()
    elapsed: tuple[Elapsed, ...] = ()
    request_features: tuple[RequestFeature, ...] = ()
    model_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"feature set {self.system!r}: {complaint}")

    def _complaints(self) -> list[str]:
        found = []
        names = self.names
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            found.append(f"names used twice: {doubled}; rename one of each")
        wanted = {*self.model_features, *(r.numerator for r in self.ratios), *(r.denominator for r in self.ratios)}
        if unknown := sorted((wanted | {t for e in self.elapsed for t in e.times}) - set(names)):
            found.append(f"unknown features {unknown}; define or correct them")
        numbers = {*self.model_features, *(p for r in self.ratios for p in (r.numerator, r.denominator))}
        if lists := sorted(numbers & {f.name for f in self.window_features if f.aggregate.is_list}):
            found.append(f"{lists} are lists, which neither a model nor a quotient takes: leave them out")
        times = {f.name for f in self.window_features if f.aggregate.kind in ("first_time", "last_time")}
        if wrong := sorted({t for e in self.elapsed for t in e.times} - times - set(unknown)):
            found.append(f"{wrong} hold no time to measure from: name a first_time or last_time feature")
        found += self._complaints_of_derived()
        found += complaints_of_names("system", [self.system])
        own = (self.ratios, self.elapsed, self.request_features)
        found += complaints_of_names("feature", [f.name for group in own for f in group])
        if keyless := sorted({v.entity.key for v in self.views} - set(self.request.columns)):
            found.append(
                f"the request's source {self.request.name!r} has no columns {keyless}: add the keys of its entities"
            )
        return found

    def _complaints_of_derived(self) -> list[str]:
        homes = {f.name: f.view.entity.name for f in self.window_features}
        found = []
        for name, parts in (
            *((r.name, (r.numerator, r.denominator)) for r in self.ratios),
            *((e.name, e.times) for e in self.elapsed),
        ):
            entities = dict.fromkeys(homes[p] for p in parts if p in homes)
            if len(entities) > 1:
                found.append(
                    f"{name!r} is made from features of {' and '.join(entities)}, and each is looked at alone: "
                    "make it from features of one"
                )
        texts = {f.name for f in self.request_features if f.categorical or self._is_text(f)}
        derived = {*(r.name for r in self.ratios), *(e.name for e in self.elapsed)}
        for ratio in self.ratios:
            parts = (ratio.numerator, ratio.denominator)
            if words := sorted(texts & set(parts)):
                found.append(f"ratio {ratio.name!r}: {words} are texts: divide numbers")
            if made := sorted(derived & set(parts)):
                found.append(f"ratio {ratio.name!r}: {made} are themselves derived: name what they are made from")
            if not {*homes} & {*parts} and not {*parts} - {f.name for f in self.request_features}:
                found.append(f"ratio {ratio.name!r}: neither part is a window's: send the quotient with the request")
        return found

    def _is_text(self, feature: RequestFeature) -> bool:
        return feature.transform == "field" and self.request.columns.get(feature.column) == "string"

    @cached_property
    def window_features(self) -> tuple[WindowFeature, ...]:
        """Every windowed feature of every view."""
        return tuple(f for v in self.views for f in v.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every feature's name: of windows, ratios, elapsed times, then of the request."""
        return (
            *(f.name for f in self.window_features),
            *(r.name for r in self.ratios),
            *(e.name for e in self.elapsed),
            *(f.name for f in self.request_features),
        )

    @cached_property
    def categorical(self) -> frozenset[str]:
        """Names of the features whose values are text."""
        return frozenset(f.name for f in self.request_features if f.categorical)

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """The entities that a request names, in order of first use."""
        return tuple(dict.fromkeys(v.entity for v in self.views))

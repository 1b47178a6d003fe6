"""The nouns of a feature definition. A definition is data; Spark, Flink and the online reader interpret it.

The meaning of a window is one sentence: with `T = floor(t)` and `floor` rounding down to the view's resolution, a
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
from lamina.errors import DefinitionError

ColumnType = Literal["string", "double", "long", "boolean"]


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time in whole seconds, with the label that feature names carry.

    >>> hours(1).label, days(30).ms
    ('1h', 2592000000)
    """

    s: int
    label: str

    @property
    def ms(self) -> int:
        """The same length in milliseconds."""
        return self.s * 1000


def seconds(n: int) -> Duration:
    """A duration of `n` seconds."""
    return Duration(n, f"{n}s")


def minutes(n: int) -> Duration:
    """A duration of `n` minutes."""
    return Duration(60 * n, f"{n}m")


def hours(n: int) -> Duration:
    """A duration of `n` hours."""
    return Duration(3600 * n, f"{n}h")


def days(n: int) -> Duration:
    """A duration of `n` days."""
    return Duration(86_400 * n, f"{n}d")


class Layers(StrEnum):
    """Which engines keep a view's tiles: Spark alone, or Spark up to midnight and Flink from there on."""

    BATCH = "batch"
    BOTH = "both"


@dataclass(frozen=True)
class Entity:
    """A thing features describe. Column `key` of every event about it holds its id; Redis keys start with `name`."""

    name: str
    key: str


@dataclass(frozen=True)
class EventSource:
    """Events of one topic as feature views see them. `columns` maps a column, dotted where nested, to its type.

    `id` names the column by which duplicates are recognised, `timestamp` the event time in epoch milliseconds.
    """

    name: str
    topic: str
    id: str
    timestamp: str
    columns: Mapping[str, ColumnType]

    def __hash__(self) -> int:
        return hash((self.name, self.topic))


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """Aggregates of one source per entity over windows, kept as tiles of `resolution`.

    A feature is named `<aggregate>_<window>`; with `suffix=False`, which takes a single window, `<aggregate>`.

    Raises: DefinitionError: when the definition cannot be right; the message says what to change.
    """

    name: str
    entity: Entity
    source: EventSource
    aggregates: tuple[Aggregate, ...]
    windows: tuple[Duration, ...]
    resolution: Duration
    owner: str
    layers: Layers = Layers.BOTH
    delay: Duration = Duration(0, "0s")
    include_request: bool = False
    suffix: bool = True

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"feature view {self.name!r}: {complaint}")

    def _complaints(self) -> list[str]:
        found = []
        if 86_400 % self.resolution.s:
            found.append(f"resolution {self.resolution.label} does not divide a day: take one such as 1s, 1m, 1h, 1d")
        for length in (*self.windows, self.delay):
            if length.s % self.resolution.s:
                found.append(
                    f"resolution {self.resolution.label} does not divide {length.label}: take a finer resolution"
                )
        if not self.windows:
            found.append("has no window: give at least one, such as windows=(hours(1),)")
        if not self.suffix and len(self.windows) > 1:
            found.append("suffix=False takes one window: the names of several would be equal")
        if self.include_request and self.delay.s:
            found.append("a delayed window never holds the request: leave include_request out")
        if self.entity.key not in self.source.columns:
            found.append(
                f"source {self.source.name!r} has no column {self.entity.key!r}, the key of {self.entity.name!r}"
            )
        for aggregate in self.aggregates:
            found.extend(aggregate.complaints(self.source.columns))
        names = [aggregate.name for aggregate in self.aggregates]
        if len(set(names)) < len(names):
            found.append(f"two aggregates share a name: {sorted(n for n in set(names) if names.count(n) > 1)}")
        return found

    @cached_property
    def features(self) -> tuple[WindowFeature, ...]:
        """The features of this view, aggregate by aggregate, window by window."""
        return tuple(
            WindowFeature(f"{a.name}_{w.label}" if self.suffix else a.name, self, a, w)
            for a in self.aggregates
            for w in self.windows
        )

    @property
    def horizon(self) -> int:
        """How far back the view looks from the time asked for, in seconds."""
        return max(w.s for w in self.windows) + self.delay.s


@dataclass(frozen=True)
class WindowFeature:
    """One aggregate of a view over one of its windows."""

    name: str
    view: FeatureView
    aggregate: Aggregate
    window: Duration


@dataclass(frozen=True)
class Ratio:
    """Quotient of two features of one entity; `default` where the denominator is 0 or missing."""

    name: str
    numerator: str
    denominator: str
    default: float = 0.0


Transform = Literal["field", "hour_of_day", "day_of_week", "weekend", "night", "differs", "equals"]


@dataclass(frozen=True)
class RequestFeature:
    """A feature of the request alone.

    `field`: the column itself; `hour_of_day` 0..23 and `day_of_week` 0 (Monday)..6 of the event time, UTC; `weekend`
    day_of_week >= 5; `night` hour_of_day <= 6 (both as in Le Borgne et al. 2022, 3.3); `differs`: 1.0 where two
    columns differ; `equals`: 1.0 where the column equals `value`.
    """

    name: str
    transform: Transform
    column: str = ""
    other: str = ""
    value: str = ""
    categorical: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """All that one system knows: the request's source, its feature views and what is derived from them.

    `model_features` are the inputs of its model, in order.
    """

    system: str
    request: EventSource
    labels: EventSource
    views: tuple[FeatureView, ...]
    ratios: tuple[Ratio, ...]
    request_features: tuple[RequestFeature, ...]
    model_features: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [f.name for v in self.views for f in v.features]
        names += [r.name for r in self.ratios] + [f.name for f in self.request_features]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise DefinitionError(f"feature set {self.system!r}: names used twice: {doubled}; rename one of each")
        wanted = {*self.model_features, *(r.numerator for r in self.ratios), *(r.denominator for r in self.ratios)}
        if unknown := sorted(wanted - set(names)):
            raise DefinitionError(f"feature set {self.system!r}: unknown features {unknown}; define or correct them")

    @cached_property
    def window_features(self) -> tuple[WindowFeature, ...]:
        """Every windowed feature of every view."""
        return tuple(f for v in self.views for f in v.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every feature's name: of windows, ratios, then of the request."""
        return (
            *(f.name for f in self.window_features),
            *(r.name for r in self.ratios),
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

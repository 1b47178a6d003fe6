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

from lamina.contracts.aggregates import DATED, Aggregate
from lamina.contracts.durations import NO_TIME, Duration, Window
from lamina.contracts.names import complaints_of_columns, complaints_of_names
from lamina.contracts.revisions import Revisions
from lamina.errors import DefinitionError

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

    @property
    def of_texts(self) -> bool:
        """Whether its value is a text of the events, or a list of them."""
        aggregate = self.aggregate
        return aggregate.kind in DATED and self.view.source.columns.get(aggregate.column or "") == "string"

    @property
    def is_number(self) -> bool:
        """Whether its value is one number."""
        return not self.aggregate.is_list and not self.of_texts

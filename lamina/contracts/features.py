"""All features of one system as a set, checked as a whole; and every noun that a definition is written with.

What a view and its windows mean is said in `lamina.contracts.views`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lamina.contracts.derived import Chosen, Elapsed, Made, Membership, Ratio, RequestFeature, Transform
from lamina.contracts.durations import Duration, Window, days, hours, minutes, seconds
from lamina.contracts.names import complaints_of_names
from lamina.contracts.revisions import Revisions
from lamina.contracts.views import ColumnType, Entity, EventSource, FeatureView, Layers, WindowFeature
from lamina.errors import DefinitionError

__all__ = [
    "Chosen",
    "ColumnType",
    "Duration",
    "Elapsed",
    "Entity",
    "EventSource",
    "FeatureSet",
    "FeatureView",
    "Layers",
    "Membership",
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
    chosen: tuple[Chosen, ...] = ()
    memberships: tuple[Membership, ...] = ()
    request_features: tuple[RequestFeature, ...] = ()
    model_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"feature set {self.system!r}: {complaint}")

    def _complaints(self) -> Iterator[str]:
        names = self.names
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            yield f"names used twice: {doubled}; rename one of each"
        wanted = {*self.model_features, *(part for made in self.made for part in made.parts)}
        if unknown := sorted(wanted - set(names)):
            yield f"unknown features {unknown}; define or correct them"
        numbers = {*self.model_features, *(part for r in self.ratios for part in r.parts)}
        if lists := sorted(numbers & {f.name for f in self.window_features if f.aggregate.is_list}):
            yield f"{lists} are lists, which neither a model nor a quotient takes: leave them out"
        yield from self._complaints_of_made()
        yield from complaints_of_names("system", [self.system])
        yield from complaints_of_names(
            "feature", [*(m.name for m in self.made), *(f.name for f in self.request_features)]
        )
        if keyless := sorted({v.entity.key for v in self.views} - set(self.request.columns)):
            yield f"the request's source {self.request.name!r} has no columns {keyless}: add the keys of its entities"

    def _complaints_of_made(self) -> Iterator[str]:
        windows = {f.name: f for f in self.window_features}
        # Where rows get their features, one takes the place of the column of its name.
        columns = {f.name for f in self.request_features if f.transform == "field" and f.column == f.name}
        hiding = set(self.names) - columns
        for crossed in self.crossed:
            named = f"{type(crossed).__name__.lower()} {crossed.name!r}"
            yield from (f"{named}: {complaint}" for complaint in crossed.complaints(self.request, windows, hiding))
            if elsewhere := sorted(set(crossed.parts) - set(windows)):
                yield f"{named}: {elsewhere} are not made over a window: name features of views"
        times = {f.name for f in self.window_features if f.aggregate.kind in ("first_time", "last_time")}
        times |= {c.name for c in self.chosen if times.issuperset(c.parts)}
        if wrong := sorted({t for e in self.elapsed for t in e.parts} - times):
            yield f"{wrong} hold no time to measure from: name a first_time or last_time feature"
        for own in self.made:
            parts = self.with_parts([own.name])
            entities = dict.fromkeys(f.view.entity.name for f in self.window_features if f.name in parts)
            if len(entities) > 1:
                yield (
                    f"{own.name!r} is made from features of {' and '.join(entities)}, and each is looked at alone: "
                    "make it from features of one"
                )
        texts = {f.name for f in self.request_features if f.categorical or self._is_text(f)}
        others = {m.name for m in self.made} - {c.name for c in self.chosen}
        for ratio in self.ratios:
            if words := sorted(texts & set(ratio.parts)):
                yield f"ratio {ratio.name!r}: {words} are texts: divide numbers"
            if made := sorted(others & set(ratio.parts)):
                yield f"ratio {ratio.name!r}: {made} are themselves derived: name what they are made from"
            if set(ratio.parts) <= {f.name for f in self.request_features}:
                yield f"ratio {ratio.name!r}: neither part is a window's: send the quotient with the request"

    def _is_text(self, feature: RequestFeature) -> bool:
        return feature.transform == "field" and self.request.columns.get(feature.column) == "string"

    @cached_property
    def window_features(self) -> tuple[WindowFeature, ...]:
        """Every windowed feature of every view."""
        return tuple(f for v in self.views for f in v.features)

    @cached_property
    def made(self) -> tuple[Made, ...]:
        """Every feature that is made from others, in the order of `names`."""
        return (*self.ratios, *self.elapsed, *self.crossed)

    @property
    def crossed(self) -> tuple[Chosen | Membership, ...]:
        """Those of `made` that read a column of the request as well."""
        return (*self.chosen, *self.memberships)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every feature's name: of windows, of what is made from others, then of the request."""
        return tuple(f.name for f in (*self.window_features, *self.made, *self.request_features))

    @cached_property
    def _parts(self) -> Mapping[str, tuple[str, ...]]:
        return {own.name: own.parts for own in self.made}

    def with_parts(self, names: Iterable[str]) -> tuple[str, ...]:
        """`names`, then those of all features that they are made from, each once."""
        found, ahead = dict[str, None](), tuple(names)
        while ahead:
            found |= dict.fromkeys(ahead)
            ahead = tuple(part for name in ahead for part in self._parts.get(name, ()) if part not in found)
        return tuple(found)

    @cached_property
    def categorical(self) -> frozenset[str]:
        """Names of the features whose values are text."""
        return frozenset(f.name for f in self.request_features if f.categorical)

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """The entities that a request names, in order of first use."""
        return tuple(dict.fromkeys(v.entity for v in self.views))

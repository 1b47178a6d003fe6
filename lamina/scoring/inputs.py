"""What goes into a model: features by name, each with its meaning, so that a model never reads another feature."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from lamina.contracts.derived import Made, default_in_words
from lamina.contracts.features import Chosen, Elapsed, FeatureSet, Membership, Ratio, RequestFeature, WindowFeature

ZERO_WHEN_EMPTY = ("count", "total", "distinct", "session_count", "decayed_count")
"""Aggregates that are 0 over no events; the others are missing then, which trees handle as a value of its own."""


class Input(BaseModel):
    """One input of a model. `default` stands in where a number is not known; None leaves it missing.

    `categories` of a text, most frequent in training first: a value's code is its place, any other's is their number.
    `meaning` says how the feature is computed; a model is only used while the definitions say the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    meaning: str
    default: float | None = None
    categories: tuple[str, ...] | None = None


def inputs_of(
    features: FeatureSet, categories: Mapping[str, tuple[str, ...]], names: Sequence[str] = ()
) -> tuple[Input, ...]:
    """The inputs of a model of `features`, given the categories of each textual one.

    Args: names: of the features, in order; those of the system's model by default.
    """
    empty_is_missing = {f.name for f in features.window_features if f.aggregate.kind not in ZERO_WHEN_EMPTY}
    empty_is_missing |= {made.name for made in features.made if _may_be_missing(made, empty_is_missing)}
    return tuple(
        Input(name=name, meaning=computation_of(features, name), categories=categories[name])
        if name in features.categorical
        else Input(name=name, meaning=computation_of(features, name), default=None if name in empty_is_missing else 0.0)
        for name in names or features.model_features
    )


def _may_be_missing(made: Made, empty_is_missing: Collection[str]) -> bool:
    """Args: empty_is_missing: features of windows that are missing over no events."""
    match made:
        case Ratio():
            return made.default is None
        case Chosen():
            return made.default is None or any(part in empty_is_missing for part in made.parts)
        case _:
            return True


def fingerprint(inputs: Sequence[Input]) -> str:
    """Twelve hex digits that change with any input's name, place or meaning."""
    text = "\n".join(f"{i.name}: {i.meaning}" for i in inputs)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def misfit(inputs: Sequence[Input], features: FeatureSet) -> str | None:
    """Which inputs are gone from the definitions or changed since training; None when every one means what it meant.

    Features may have been added.
    """
    gone = [i.name for i in inputs if i.name not in features.names]
    changed = [i.name for i in inputs if i.name not in gone and i.meaning != computation_of(features, i.name)]
    parts = [
        f"{', '.join(names)} {what}" for names, what in ((gone, "no longer defined"), (changed, "changed")) if names
    ]
    return "; ".join(parts) or None


def computation_of(features: FeatureSet, name: str) -> str:
    """How a feature is computed, in one line that changes when its value would.

    >>> from lamina.definitions.fraud import FEATURES
    >>> computation_of(FEATURES, "user_txn_count_7d")
    'count(*) of transactions by user over 7d at 1s with the request'
    """
    for window in features.window_features:
        if window.name == name:
            return _window_meaning(window)
    for made in features.made:
        if made.name == name:
            return _made_meaning(features, made) + _version(made.version)
    return _request_meaning({f.name: f for f in features.request_features}[name])


def _made_meaning(features: FeatureSet, made: Made) -> str:
    match made:
        case Ratio():
            top, bottom = computation_of(features, made.numerator), computation_of(features, made.denominator)
            return f"({top}) / ({bottom}) else {default_in_words(made.default)}"
        case Elapsed():
            until = f" until ({computation_of(features, made.until)})" if made.until else ""
            return f"seconds since ({computation_of(features, made.since)}){until}"
        case Chosen():
            cases = (f"{value!r}: ({computation_of(features, made.of[value])})" for value in sorted(made.of))
            return f"by {made.column} of the request {', '.join(cases)} else {default_in_words(made.default)}"
        case Membership():
            return f"{made.column} of the request in ({computation_of(features, made.of)})"


def _window_meaning(feature: WindowFeature) -> str:
    view, aggregate = feature.view, feature.aggregate
    where = f" where {aggregate.where.sql()}" if aggregate.where else ""
    cap = f" exact up to {aggregate.cap}" if aggregate.cap else ""
    cap += f" newest {aggregate.k}" if aggregate.k else ""
    cap += f" gap {aggregate.gap.label}" if aggregate.gap else ""
    cap += f" half-life {aggregate.half_life.label}" if aggregate.half_life else ""
    text = f"{aggregate.kind}({aggregate.column or '*'}){cap} of {view.source.name}{where} by {view.entity.name}"
    text += f" over {feature.window.label} at {feature.resolution.label}"
    if view.delay.s:
        text += f" delayed {view.delay.label}"
    return text + (" with the request" if view.include_request else "") + _version(view.version)


def _request_meaning(feature: RequestFeature) -> str:
    arguments = ", ".join(filter(None, (feature.column, feature.other, feature.value)))
    kind = " as a category" if feature.categorical else ""
    return f"{feature.transform}({arguments}) of the request{kind}{_version(feature.version)}"


def _version(number: int) -> str:
    return f" version {number}" if number > 1 else ""

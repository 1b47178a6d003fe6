"""A generation: what one version of a system's definitions keeps. Two of them may be filled beside each other.

The ids of tile specs carry fingerprints, so generations that differ in one do not touch each other's tiles. What they
have in common is the same in both, and both may write it: values are absolute, and none regresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from lamina.contracts.features import FeatureSet
from lamina.errors import DefinitionError
from lamina.semantics.plan import Plan, State, TileSpec, make_plan

DIGITS = 8
_FEATURES = TypeAdapter(FeatureSet)


@dataclass(frozen=True)
class Generation:
    """The features of a system as one version defines them.

    >>> from lamina.definitions import load
    >>> Generation(load("fraud")).job_name.startswith("lamina-stream-fraud-")
    True
    """

    features: FeatureSet

    @cached_property
    def plan(self) -> Plan:
        """What has to be kept for them."""
        return make_plan(self.features)

    @property
    def system(self) -> str:
        """Whose features they are."""
        return self.features.system

    @cached_property
    def id(self) -> str:
        """Changes with what is kept: states, resolutions, and how far back. What is made when it is read is no part."""
        kept = (f"{t.key} {t.reach}" for t in self.plan.tile_specs)
        return _digest((*sorted(kept), *sorted(t.key for t in self.plan.speed)))

    @cached_property
    def job_name(self) -> str:
        """The name of the stream job that fills it. Generations that need the same of the stream share a job."""
        return stream_job_name(self.plan)


def stream_job_name(plan: Plan) -> str:
    """The name under which Flink lists the job that keeps the speed tiles of `plan`."""
    sources = {f"{t.source.topic} {t.source.id} {t.source.timestamp}" for t in plan.speed}
    return f"lamina-stream-{plan.features.system}-{_digest((*sorted(sources), *sorted(t.key for t in plan.speed)))}"


def lacking(plan: Plan, others: Iterable[Plan]) -> tuple[TileSpec, ...]:
    """The tile specs of the batch layer that `plan` has and none of `others` keeps, or not so far back."""
    kept: dict[str, tuple[int, ...]] = {}
    for other in others:
        for own in other.tile_specs:
            kept[own.key] = _furthest(own.reach, kept.get(own.key, own.reach))
    return tuple(t for t in plan.tile_specs if not covers(kept.get(t.key, ()), t))


def covers(reach: tuple[int, ...], spec: TileSpec) -> bool:
    """Whether tiles of this key that were made for `reach` are enough for `spec`."""
    return bool(reach) and _furthest(reach, spec.reach) == reach


def reaching(spec: TileSpec, others: Iterable[TileSpec]) -> TileSpec:
    """`spec`, as far back as it and those of `others` with the same key are asked for."""
    for other in others:
        if other.key == spec.key:
            spec = replace(
                spec,
                horizon_s=max(spec.horizon_s, other.horizon_s),
                states=tuple(map(_further, spec.states, other.states)),
                keyed=tuple(map(_further, spec.keyed, other.keyed)),
            )
    return spec


def _further(one: State, other: State) -> State:
    horizon_s, delayed = max(one.horizon_s, other.horizon_s), one.delayed or other.delayed
    return replace(one, horizon_s=horizon_s, delayed=delayed)


def _furthest(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(max, one, other))


def write_features(features: FeatureSet) -> str:
    """Definitions as JSON, the inverse of `read_features`."""
    return _FEATURES.dump_json(features).decode()


def read_features(text: str | bytes) -> FeatureSet:
    """Definitions that `write_features` wrote.

    Raises: DefinitionError: when this version cannot read them.

    >>> from lamina.definitions import load
    >>> read_features(write_features(load("activity"))) == load("activity")
    True
    """
    try:
        return _FEATURES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DefinitionError(
            f"recorded definitions cannot be read by this version ({where}: {first['msg']})"
        ) from None


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]

"""What a windowed feature means, in a few letters: so that a name never silently comes to mean something else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lamina.contracts.features import Duration, FeatureSet, WindowFeature

FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class Meaning:
    """A version of a feature's view, and the fingerprint of what the feature meant in it."""

    version: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.version}:{self.fingerprint}"


def read_meaning(text: str) -> Meaning:
    """The inverse of `str`.

    >>> read_meaning("2:0a1b").version
    2
    """
    version, _, fingerprint = text.partition(":")
    return Meaning(int(version), fingerprint)


def meaning_of(feature: WindowFeature) -> Meaning:
    """The meaning of a feature: all that its value depends on, and nothing else, such as its owner."""
    view, aggregate = feature.view, feature.aggregate
    source = view.source
    parts = (
        (view.entity.name, view.entity.key),
        (source.topic, source.id, source.timestamp),
        (aggregate.kind, aggregate.column, source.columns.get(aggregate.column or "")),
        aggregate.where.sql() if aggregate.where else None,
        (aggregate.cap, aggregate.k, _seconds(aggregate.gap), _seconds(aggregate.half_life)),
        (feature.window.s, feature.resolution.s, view.delay.s, view.include_request),
        # Where there is nothing to say, nothing is said: what was recorded before stays as it was.
        *((source.revisions,) if source.revisions else ()),
    )
    return Meaning(view.version, hashlib.sha256(repr(parts).encode()).hexdigest()[:FINGERPRINT_DIGITS])


def meanings_of(features: FeatureSet) -> dict[str, Meaning]:
    """The meaning of every windowed feature, by its name."""
    return {f.name: meaning_of(f) for f in features.window_features}


def complaints(features: FeatureSet, recorded: Mapping[str, Meaning]) -> Iterator[str]:
    """Features that mean something else than what was recorded of the same name and version."""
    for feature in features.window_features:
        before, now = recorded.get(feature.name), meaning_of(feature)
        if before is None:
            continue
        view = feature.view.name
        if now.version < before.version:
            yield (
                f"{feature.name!r} is recorded in version {before.version}, and view {view!r} says {now.version}: "
                f"set version={before.version} or above"
            )
        elif now.version == before.version and now.fingerprint != before.fingerprint:
            yield (
                f"{feature.name!r} means something else than it did in version {now.version} of view {view!r}: set "
                f"version={now.version + 1}, or give the new meaning a new name"
            )


def _seconds(length: Duration | None) -> int | None:
    return length.s if length else None

"""What a feature means, in a few letters: so that a name never silently comes to mean something else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lamina.contracts.derived import Made
from lamina.contracts.features import Duration, EventSource, FeatureSet, RequestFeature, WindowFeature

FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class Meaning:
    """A version of a feature, which is that of its view, and the fingerprint of what the feature meant in it."""

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
    """The meaning of a windowed feature: all that its value depends on, and nothing else, such as its owner."""
    view, aggregate = feature.view, feature.aggregate
    source = view.source
    return _meaning(
        view.version,
        (view.entity.name, view.entity.key),
        (_topic(source), source.id, source.timestamp),
        (aggregate.kind, aggregate.column, source.columns.get(aggregate.column or "")),
        aggregate.where.sql() if aggregate.where else None,
        (aggregate.cap, aggregate.k, _seconds(aggregate.gap), _seconds(aggregate.half_life)),
        (feature.window.s, feature.resolution.s, view.delay.s, view.include_request),
        # Where there is nothing to say, nothing is said: what was recorded before stays as it was.
        *((source.revisions,) if source.revisions else ()),
    )


def meanings_of(features: FeatureSet) -> dict[str, Meaning]:
    """The meaning of every feature, by its name.

    What is made from others means what they mean: its version rises with each of theirs.
    """
    found = {f.name: meaning_of(f) for f in features.window_features}
    source = features.request
    for own in features.request_features:
        columns = [(c, source.columns.get(c)) for c in (own.column, own.other) if c]
        # Only of transforms of the time: others read what they read whenever it was.
        at = None if columns else source.timestamp
        found[own.name] = _meaning(own.version, _topic(source), own.transform, columns, own.value, own.categorical, at)
    for chosen in features.chosen:
        values = sorted(chosen.of)
        parts = [found[chosen.of[value]] for value in values]
        read = _topic(source), chosen.column
        found[chosen.name] = _derived(chosen.version, parts, "chosen", *read, values, chosen.default)
    for membership in features.memberships:
        read = _topic(source), membership.column
        found[membership.name] = _derived(membership.version, [found[membership.of]], "membership", *read)
    for ratio in features.ratios:
        parts = [found[name] for name in ratio.parts]
        found[ratio.name] = _derived(ratio.version, parts, "ratio", ratio.default)
    for elapsed in features.elapsed:
        parts = [found[name] for name in elapsed.parts]
        found[elapsed.name] = _derived(elapsed.version, parts, "elapsed", None if elapsed.until else source.timestamp)
    return found


def _derived(version: int, parts: Sequence[Meaning], *how: object) -> Meaning:
    return _meaning(version + sum(p.version - 1 for p in parts), *how, *(p.fingerprint for p in parts))


def _meaning(version: int, *parts: object) -> Meaning:
    return Meaning(version, hashlib.sha256(repr(parts).encode()).hexdigest()[:FINGERPRINT_DIGITS])


def complaints(features: FeatureSet, recorded: Mapping[str, Meaning]) -> Iterator[str]:
    """Features that mean something else than what was recorded of the same name and version."""
    owners = _owners(features)
    for name, now in meanings_of(features).items():
        before = recorded.get(name)
        if before is None:
            continue
        whose, version = owners[name]
        if now.version < before.version:
            yield (
                f"{name!r} is recorded in version {before.version}, and {whose} makes it {now.version}: "
                f"set version={version + before.version - now.version} or above"
            )
        elif now.version == before.version and now.fingerprint != before.fingerprint:
            yield (
                f"{name!r} means something else than it did in version {now.version} of {whose}: set "
                f"version={version + 1}, or give the new meaning a new name"
            )


def _owners(features: FeatureSet) -> dict[str, tuple[str, int]]:
    """What says the version of each feature, and which it says."""
    found = {f.name: (f"view {f.view.name!r}", f.view.version) for f in features.window_features}
    own: tuple[Made | RequestFeature, ...] = (*features.made, *features.request_features)
    return found | {each.name: ("its own definition", each.version) for each in own}


def _topic(source: EventSource) -> str:
    """The topic as it is recorded: a new name of it changes no meaning."""
    return source.recorded_as or source.topic


def _seconds(length: Duration | None) -> int | None:
    return length.s if length else None

"""The definitions of every system, found by name; adding a module here adds a system.

`fingerprints.json` records what every feature meant in which version. `lamina features freeze` writes it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.contracts.meanings import Meaning, complaints, meanings_of, read_meaning
from lamina.errors import DefinitionError

RECORD = Path(__file__).parent / "fingerprints.json"


def system_names() -> tuple[str, ...]:
    """Names of all systems, sorted.

    >>> "fraud" in system_names()
    True
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(system: str) -> FeatureSet:
    """The feature set of `system`.

    Raises: DefinitionError: when there is no such system, its definition cannot be right, a feature means something
    else than was recorded of its name and version, or another system has an entity of the same name unasked.
    """
    if system not in system_names():
        raise DefinitionError(f"no system {system!r}; there are {', '.join(system_names())}")
    features = _defined(system)
    for complaint in (*complaints(features, recorded(system)), *_clashes(features)):
        raise DefinitionError(f"feature set {system!r}: {complaint}")
    return features


def _defined(system: str) -> FeatureSet:
    features: FeatureSet = importlib.import_module(f"{__name__}.{system}").FEATURES
    return features


def _clashes(features: FeatureSet) -> Iterator[str]:
    """Entities that another system has under the same name, by which goes what is stored of them, and up to when."""
    for name in system_names():
        if name == features.system:
            continue
        try:
            others = {e.name: e for e in _defined(name).entities}
        except DefinitionError:
            continue  # whoever loads that system is told
        for entity in features.entities:
            other = others.get(entity.name)
            if other is not None and not (entity.shared and entity == other):
                yield (
                    f"entity {entity.name!r} is one of system {name!r}, too: give it another name, or, where both mean "
                    "the same things, say shared=True in both, with the same key "
                    f"({entity.key!r} here, {other.key!r} there)"
                )


def recorded(system: str, record: Path | None = None) -> dict[str, Meaning]:
    """What the features of `system` meant when they were last frozen, by name."""
    record = record or RECORD
    if not record.exists():
        return {}
    return {name: read_meaning(text) for name, text in json.loads(record.read_text()).get(system, {}).items()}


def freeze(record: Path = RECORD) -> dict[str, list[str]]:
    """Record what every feature of every system means now; returns the names that are new or changed, by system.

    Raises: DefinitionError: as `load`; a changed meaning is recorded only under a new version.
    """
    found, changed = {}, {}
    for system in system_names():
        now, before = meanings_of(load(system)), recorded(system, record)
        found[system] = {name: str(meaning) for name, meaning in sorted(now.items())}
        changed[system] = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    record.write_text(json.dumps(found, indent=1) + "\n")
    return changed

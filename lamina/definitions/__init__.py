"""The records of every system, found by name; adding a module here adds a system.

`<system>.json` beside a module records what every feature meant in which version. `lamina features freeze` writes it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.contracts.meanings import Meaning, complaints, meanings_of, read_meaning
from lamina.contracts.systems import System
from lamina.errors import DefinitionError


def system_names() -> tuple[str, ...]:
    """Names of all systems, sorted.

    >>> "fraud" in system_names()
    True
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def about(system: str) -> str:
    """What `system` is, in a sentence: the first of its definition.

    >>> about("activity").partition(":")[0]
    'What users do in a shop'
    """
    text = importlib.import_module(f"{__name__}.{system}").__doc__ or ""
    return text.strip().partition("\n\n")[0].replace("\n", " ")


def record(system: str) -> System:
    """The record of `system`.

    Raises: DefinitionError: when there is no such system, its definition cannot be right, a feature means something
    else than was recorded of its name and version, or another system has an entity of the same name unasked.
    """
    if system not in system_names():
        raise DefinitionError(f"no system {system!r}; there are {', '.join(system_names())}")
    found = _defined(system)
    if found.name != system:
        raise DefinitionError(f"module {system!r} holds the system {found.name!r}: give both one name")
    for complaint in (*complaints(found.features, recorded(system)), *_clashes(found)):
        raise DefinitionError(f"feature set {system!r}: {complaint}")
    return found


def records() -> tuple[System, ...]:
    """The record of every system, by name.

    Raises: DefinitionError: as `record`.
    """
    return tuple(record(system) for system in system_names())


def load(system: str) -> FeatureSet:
    """The feature set of `system`.

    Raises: DefinitionError: as `record`.
    """
    return record(system).features


def usual_system() -> str | None:
    """The system that is meant where a command line names none: the only one with a model. None where more have one."""
    serving = [system.name for system in records() if system.has_model]
    return serving[0] if len(serving) == 1 else None


def _defined(system: str) -> System:
    found: System = importlib.import_module(f"{__name__}.{system}").SYSTEM
    return found


def _clashes(system: System) -> Iterator[str]:
    """Entities that another system has under the same name, by which goes what is stored of them, and up to when."""
    for name in system_names():
        if name == system.name:
            continue
        try:
            others = {e.name: e for e in _defined(name).entities}
        except DefinitionError:
            continue  # whoever loads that system is told
        for entity in system.entities:
            other = others.get(entity.name)
            if other is not None and not (entity.shared and entity == other):
                yield (
                    f"entity {entity.name!r} is one of system {name!r}, too: give it another name, or, where both mean "
                    "the same things, say shared=True in both, with the same key "
                    f"({entity.key!r} here, {other.key!r} there)"
                )


def meanings_file(system: str, folder: Path | None = None) -> Path:
    """The file that records what features of `system` mean: beside its module or package, or in `folder`."""
    found = importlib.util.find_spec(f"{__name__}.{system}")
    if found is None or found.origin is None:
        raise DefinitionError(f"no system {system!r}; there are {', '.join(system_names())}")
    module = Path(found.submodule_search_locations[0] if found.submodule_search_locations else found.origin)
    return (folder or module.parent) / f"{system}.json"


def recorded(system: str, folder: Path | None = None) -> dict[str, Meaning]:
    """What the features of `system` meant when they were last frozen, by name."""
    file = meanings_file(system, folder)
    if not file.exists():
        return {}
    return {name: read_meaning(text) for name, text in json.loads(file.read_text()).items()}


def freeze(folder: Path | None = None) -> dict[str, list[str]]:
    """Record what every feature of every system means now; returns the names that are new or changed, by system.

    Args: folder: where the files lie; each beside its module when left out.
    Raises: DefinitionError: as `record`; a changed meaning is recorded only under a new version.
    """
    changed = {}
    for system in system_names():
        now, before = meanings_of(load(system)), recorded(system, folder)
        found = {name: str(meaning) for name, meaning in sorted(now.items())}
        changed[system] = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
        meanings_file(system, folder).write_text(json.dumps(found, indent=1) + "\n")
    return changed

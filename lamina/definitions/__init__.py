"""The definitions of every system, found by name; adding a module here adds a system."""

from __future__ import annotations

import importlib
import pkgutil

from lamina.contracts.features import FeatureSet
from lamina.errors import DefinitionError


def system_names() -> tuple[str, ...]:
    """Names of all systems, sorted.

    >>> "fraud" in system_names()
    True
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(system: str) -> FeatureSet:
    """The feature set of `system`.

    Raises: DefinitionError: when there is no such system, or its definition cannot be right.
    """
    if system not in system_names():
        raise DefinitionError(f"no system {system!r}; there are {', '.join(system_names())}")
    features: FeatureSet = importlib.import_module(f"{__name__}.{system}").FEATURES
    return features

"""The systems that the API serves, found by name; a folder here with a `build.py` adds one."""

from __future__ import annotations

import importlib
import pkgutil

from serving.platform import Platform, ServingSystem


def build_all(platform: Platform) -> dict[str, ServingSystem]:
    """Every system that is served, by name, in the order of names.

    Raises: RulesError, ExperimentError: of a file that cannot be right.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}.build").build(platform) for name in names}

"""The systems that the API serves, found by name; a folder here with a `build.py` adds one."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil

from lamina.errors import SettingsError
from serving.platform import Platform, ServingSystem


def systems() -> set[str]:
    """The names of all that can be served."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return {name for name in names if importlib.util.find_spec(f"{__name__}.{name}.build")}


def build_all(platform: Platform) -> dict[str, ServingSystem]:
    """Every system that is to be served, by name, in the order of names.

    Raises: SettingsError: there is no such system; RulesError, ExperimentError: of a file that cannot be right.
    """
    names = systems()
    wanted = platform.settings.served_systems or names
    if unknown := sorted(wanted - names):
        raise SettingsError(f"LAMINA_SERVED_SYSTEMS names {', '.join(unknown)}: there are {', '.join(sorted(names))}")
    return {name: importlib.import_module(f"{__name__}.{name}.build").build(platform) for name in sorted(wanted)}

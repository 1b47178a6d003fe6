"""Which variables and secret files are settings, and what to say of a name that is none."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from lamina.errors import SettingsError

PREFIX = "LAMINA_"
OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "LAMINA_IMPORT_SALT": "secret key of `lamina import`",
        "LAMINA_STACK_CHILD": "marks what a local stack has started",
        "LAMINA_GROUPS": "what an image is built with",
    }
)
"""Variables with the prefix that are no settings, and whose they are."""

# Kubernetes makes such variables of every service whose name begins with `lamina`.
SERVICE_LINK = re.compile(r"LAMINA_\w*?(_SERVICE_HOST|_SERVICE_PORT\w*|_PORT|_PORT_\d+_(TCP|UDP|SCTP)\w*)")


def variable(field: str) -> str:
    """The environment variable of a field.

    >>> variable("redis_url")
    'LAMINA_REDIS_URL'
    """
    return f"{PREFIX}{field.upper()}"


def known(name: str, fields: Collection[str]) -> bool:
    """Whether a variable with the prefix is that of a field, another of lamina's, or one that Kubernetes makes."""
    if name in OTHERS or name.removeprefix(PREFIX).lower() in fields:
        return True
    return SERVICE_LINK.fullmatch(name) is not None and "KUBERNETES_SERVICE_HOST" in os.environ


def advice(name: str, what: str, fields: Iterable[str]) -> str:
    """What to do about a name that is no setting's: the nearest, or to remove it."""
    names = [*map(variable, fields), *OTHERS]
    near = difflib.get_close_matches(name.upper(), names, n=1, cutoff=0.6)
    return f"no setting has the {what} {name}" + (f": is {near[0]} meant?" if near else ": remove it")


def secret_files(folder: str | None, fields: Collection[str]) -> Path | None:
    """The folder of files, once every one of lamina's in it is a setting's."""
    if folder is None:
        return None
    path = Path(folder)
    if not path.is_dir():
        raise SettingsError(f"LAMINA_SECRETS_DIR: there is no folder {folder}: make it, or take the variable away")
    names = sorted(file.name for file in path.iterdir() if file.name.upper().startswith(PREFIX))
    unknown = [name for name in names if name.upper().removeprefix(PREFIX).lower() not in fields]
    if unknown:
        raise SettingsError("; ".join(advice(name, f"file in {folder}", fields) for name in unknown))
    return path

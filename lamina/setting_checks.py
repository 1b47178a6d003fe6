"""What holds for the addresses, folders and files among the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from lamina import addresses
from lamina.setting_names import variable

FOLDERS = frozenset({"stack_dir", "data", "secrets_dir"})
"""Paths that must be the same for every process; other paths are files that are read."""

LINKED = re.compile(r"(tcp|udp|sctp)://")

CHECKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "lake_url": addresses.lake,
        "kafka_bootstrap": addresses.bootstrap,
        "redis_url": addresses.redis,
        "mlflow_uri": addresses.server,
        "flink_url": addresses.server,
        "airflow_url": addresses.server,
        "reviews_url": addresses.database,
        "api_host": addresses.listener,
        "metrics_host": addresses.listener,
        "otlp_url": addresses.server,
    }
)
"""What holds for a field's value; a folder or file is checked by its type."""


def checked(field: str, value: Any) -> Any:
    """The value of a field, as it is used.

    Raises: ValueError: it cannot be right; the message names the variable.

    >>> checked("api_host", "0.0.0.0")
    '0.0.0.0'
    """
    check = CHECKS.get(field)
    if isinstance(value, Path):
        check = addresses.folder if field in FOLDERS else addresses.file
    if check is None or value is None:
        return value
    try:
        return SecretStr(check(value.get_secret_value())) if isinstance(value, SecretStr) else check(value)
    except ValueError as error:
        raise ValueError(f"{variable(field)} {error}") from None


def separated(value: object) -> object:
    """The names in a text, which commas separate; anything else as it is.

    >>> separated("fraud, activity")
    ['fraud', 'activity']
    """
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def no_link(value: object) -> object:
    """A port, unless it is the address that Kubernetes makes of a service's name.

    Raises: ValueError: says how to keep Kubernetes from it.
    """
    if isinstance(value, str) and LINKED.match(value):
        raise ValueError(
            "LAMINA_API_PORT was made by Kubernetes of a service named lamina-api: set `enableServiceLinks: false` "
            "in the pod, or give the service another name"
        )
    return value

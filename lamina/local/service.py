"""What a service of the local stack is: programs to run, and how to tell that they are ready."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamina import proxies
from lamina.local.layout import Layout
from lamina.local.ports import HOST


class NotReady(Exception):
    """A service does not answer yet; its text says what was tried."""


@dataclass(frozen=True)
class StackPlan:
    """What the services of one stack are built from: folder, ports, secrets and the settings of its children."""

    layout: Layout
    ports: Mapping[str, int]
    secrets: Mapping[str, str] = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def address(self, port: str) -> str:
        """`host:port` of a named port."""
        return f"{HOST}:{self.ports[port]}"

    def url(self, port: str) -> str:
        """`http://host:port` of a named port."""
        return f"http://{self.address(port)}"


@dataclass(frozen=True)
class Program:
    """One process under supervision. `env` comes on top of the stack's own variables."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_wait_s: int = 20


@dataclass(frozen=True)
class Service:
    """One thing a user starts by name: its programs and the check that they work together.

    `ready` raises `NotReady` until the service answers; `prepare` runs before the first program; `needs` are services
    that must be ready before; `extra` are further programs that are stopped and shown with it.
    """

    name: str
    address: str
    programs: tuple[Program, ...]
    ready: Callable[[], None]
    deadline_s: float
    needs: frozenset[str] = frozenset()
    prepare: Callable[[], None] | None = None
    advice: str = "Read the log, then run `make doctor`."


def get_json(url: str, timeout_s: float = 5.0) -> Any:
    """The JSON a server answers at `url`; `NotReady` when it does not answer 200."""
    try:
        body = proxies.open_url(urllib.request.Request(url), timeout_s)
    except OSError as error:
        raise NotReady(f"GET {url}: {error}") from error
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def answers(url: str) -> Callable[[], None]:
    """A readiness check: `url` answers 200."""

    def check() -> None:
        get_json(url)

    return check


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    """`path`, holding `text`, with its folder made; at no moment can it be read by more than `mode` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "w") as file:
        path.chmod(mode)  # a file that was there keeps its own
        file.truncate()
        file.write(text)
    return path

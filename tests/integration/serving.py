"""What the tests of serving share: the real application on a real port, and readers of what it published."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from lamina.settings import Settings
from serving.bootstrap import Service, make_app, make_service
from serving.stages.model import Registry


class FolderRegistry(Registry):
    """A registry that is a folder: versions are folders in it, `champion` names one. Absent, the registry is down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def champion(self) -> str | None:
        alias = self._folder / "champion"
        return alias.read_text() if alias.exists() else None

    def download(self, version: str, folder: Path) -> Path:
        return shutil.copytree(self._folder / version, folder, dirs_exist_ok=True)

    def promote(self, version: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "champion").write_text(version)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(settings: Settings, registry: Registry | None = None) -> Iterator[tuple[httpx.Client, Service]]:
    """The API on `settings.api_port`, past its first look for a champion."""
    service = make_service(settings, registry=registry)
    config = uvicorn.Config(make_app(service), port=settings.api_port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.api_port}", timeout=30) as client:
        try:
            until(lambda: server.started and client.get("/health/ready").status_code == 200)
            yield client, service
        finally:
            server.should_exit = True
            thread.join()


def until(condition: object, *, within_s: float = 30.0) -> None:
    """Return once `condition()` holds."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)

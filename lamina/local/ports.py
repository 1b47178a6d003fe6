"""Ports of a stack: the well-known one where it is free, else a random free one; the same again after a restart."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

# Under the range that systems hand to outgoing connections, so that none of them takes a port between choice and use.
LOWEST, HIGHEST = 20_000, 32_000
HOST = "127.0.0.1"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server can listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def random_port(taken: set[int], rng: random.Random, within: tuple[int, int] = (LOWEST, HIGHEST)) -> int:
    """A free port that is not in `taken`, from the first to the last of `within`."""
    while True:
        port = rng.randint(*within)
        if port not in taken and is_free(port):
            return port


def choose(
    preferred: Mapping[str, int],
    remembered: Mapping[str, int],
    rng: random.Random,
    ranges: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, int]:
    """A free port for every name: the remembered one, else the preferred one, else a random one; all different.

    Args: ranges: what the random one of a name must be within, from the first to the last.
    """
    ranges = ranges or {}
    chosen: dict[str, int] = {}
    for name, port in preferred.items():
        taken = set(chosen.values())
        candidates = [remembered[name]] if name in remembered else []
        candidates += [port] if port else []
        chosen[name] = next((p for p in candidates if p not in taken and is_free(p)), 0)
        chosen[name] = chosen[name] or random_port(taken, rng, ranges.get(name, (LOWEST, HIGHEST)))
    return chosen


def load(file: Path) -> dict[str, int]:
    """Ports as they were written last, or none."""
    return {str(k): int(v) for k, v in json.loads(file.read_text()).items()} if file.exists() else {}


def save(file: Path, ports: Mapping[str, int]) -> None:
    """Remember the ports for the next start and for other processes."""
    file.write_text(json.dumps(dict(ports), indent=1) + "\n")

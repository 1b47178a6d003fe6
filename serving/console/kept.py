"""Figures for pages, made in threads of their own and kept for some seconds: fifty who look cost as much as one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
THREADS = 2
MOST = 500


class Kept:
    """What `make` gave, by key, until it is too old. Who asks while it is being made waits for the same.

    Args: monotonic: seconds of a clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._pool = ThreadPoolExecutor(THREADS, "console")
        self._found: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, for_s: float, make: Callable[[], T]) -> T:
        """What `make` gives, not older than `for_s` seconds. What it raises is kept for nobody."""
        known = self._found.get(key)
        if known is not None and known[0] > self._now() and not _failed(known[1]):
            found: T = await asyncio.shield(known[1])
            return found
        future = asyncio.get_running_loop().run_in_executor(self._pool, make)
        self._found.pop(key, None)
        while len(self._found) >= MOST:
            self._found.pop(next(iter(self._found)))
        self._found[key] = (self._now() + for_s, future)
        return await asyncio.shield(future)

    def drop(self, key: Hashable) -> None:
        """Have it made anew for who asks next."""
        self._found.pop(key, None)

    async def run(self, do: Callable[..., T], *given: Any, **named: Any) -> T:
        """What `do` returns, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(do, *given, **named))


def _failed(future: asyncio.Future[Any]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)

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

    Each has threads of its own: what is slow in one holds up nothing in another.

    Args: monotonic: seconds of a clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._pool = ThreadPoolExecutor(THREADS, "console")
        self._found: dict[Hashable, asyncio.Future[tuple[Any, float]]] = {}

    async def get(self, key: Hashable, for_s: float, make: Callable[[], T]) -> T:
        """What `make` gave, for `for_s` seconds from when it was there. What it raises is kept for nobody."""
        future = self._found.get(key)
        if future is None or (future.done() and not self._is_good(future)):
            future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: (make(), self._now() + for_s))
            self._found.pop(key, None)
            while len(self._found) >= MOST:
                self._found.pop(next(iter(self._found)))
            self._found[key] = future
        found: T = (await asyncio.shield(future))[0]
        return found

    def drop(self, key: Hashable) -> None:
        """Have it made anew for who asks next."""
        self._found.pop(key, None)

    async def run(self, do: Callable[..., T], *given: Any, **named: Any) -> T:
        """What `do` returns, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(do, *given, **named))

    def _is_good(self, future: asyncio.Future[tuple[Any, float]]) -> bool:
        return not future.cancelled() and future.exception() is None and future.result()[1] > self._now()

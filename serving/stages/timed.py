"""A stage that works beside the event loop, within its budget or not at all. Hot path.

Work of the processor cannot be broken off from outside. So it is done on a thread: who waits goes on without it when
the time is over, and what is late ends for nobody. When too much of that is under way nothing new is begun: it would be
late as well, and keep the processor from those who still have time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from lamina.errors import LaminaError
from serving.stages.budget import over_budget

log = logging.getLogger(__name__)

T = TypeVar("T")


class StageLate(LaminaError):
    """A stage had no time, or took too much of it; callers go on without it by a named, counted policy."""


class TimedStage:
    """One stage of a system, on threads of its own.

    Args: budget_ms: for so long somebody waits, from when it is asked; threads: how many work at once; waiting: so much
    work may be under way, late work too.
    """

    def __init__(self, system: str, name: str, *, budget_ms: float, threads: int = 2, waiting: int = 16) -> None:
        self.system, self.name, self._budget_s, self._waiting = system, name, budget_ms / 1000, waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"{system}-{name}")
        self._lock, self.under_way = threading.Lock(), 0
        """Requests at it, among them those that nobody waits for any longer."""

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives.

        Raises: StageLate: it did not in time, or nothing new is begun now; whatever `work` raises in time.
        """
        with self._lock:
            has_room = self.under_way < self._waiting
            self.under_way += has_room
        if not has_room:
            over_budget(self.system, self.name)
            raise StageLate(f"{self.name} of {self.system} is not begun: {self._waiting} requests are at it")
        job = self._pool.submit(copy_context().run, work)
        job.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._budget_s) as limit:
                # Given up, it is taken off the queue where it was not begun.
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if not limit.expired():
                raise
            over_budget(self.system, self.name)
            raise StageLate(f"{self.name} of {self.system} took more than {self._budget_s * 1000:g} ms") from None

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, job: Future[T]) -> None:
        with self._lock:
            self.under_way -= 1
        if not job.cancelled() and (error := job.exception()) is not None:
            log.debug("%s of %s failed: %s", self.name, self.system, error)

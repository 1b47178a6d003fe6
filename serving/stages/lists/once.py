"""A request for a list that is sent again, as after a time-out, gets the list that it had. Hot path.

It is told by its id. Made anew, the same ids would be said to have been shown twice, perhaps of other items.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from lamina.monitoring import metrics

T = TypeVar("T")
KEPT = 10_000
"""Lists in the process, some kilobytes each."""


class Once(Generic[T]):
    """Makes each answer once. What failed is made anew; what is asked for while it is being made is waited for.

    Args: window_s: for so long an answer is kept; 0: not at all.
    """

    def __init__(
        self, system: str, *, window_s: float, most: int = KEPT, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._system, self._window_s, self._most, self._now = system, window_s, most, monotonic
        self._kept: OrderedDict[tuple[str, str], tuple[asyncio.Future[T], float]] = OrderedDict()

    async def of(self, key: tuple[str, str], make: Callable[[], Awaitable[T]]) -> T:
        """The answer to `key`: who asks, and the id of the request.

        Raises: what `make` raises.
        """
        if not self._window_s:
            return await make()
        known = self._kept.get(key)
        if known is not None and self._now() < known[1]:
            metrics.REPEATS.labels(self._system, "known" if known[0].done() else "waited").inc()
            # Shielded: one that gives up must not end it for the others.
            return await asyncio.shield(known[0])
        answer = asyncio.ensure_future(make())
        self._kept[key] = answer, self._now() + self._window_s
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        answer.add_done_callback(lambda done: self._settled(key, done))
        return await asyncio.shield(answer)

    def _settled(self, key: tuple[str, str], answer: asyncio.Future[T]) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        if failed and key in self._kept and self._kept[key][0] is answer:
            del self._kept[key]

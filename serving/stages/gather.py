"""Requests that arrive together are decided together: one read, one call of a model, one write. Hot path.

What a turn of the event loop has brought makes a group, so a request never waits for a later one: alone it goes alone,
and the busier the process is, the larger the groups and the cheaper each decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST = 50
"""Of a group: what is to be read for more would keep Redis from others for too long."""


class Gatherer(Generic[T, R]):
    """Hands what it is asked in groups to `serve`, which yields an answer, or an error, to each in order."""

    def __init__(self, serve: Callable[[Sequence[T]], AsyncIterator[R | Exception]]) -> None:
        self._serve = serve
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, asked: T) -> R:
        """The answer to `asked`.

        Raises: what it was answered with, or what ended the group.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((asked, answer))
        if len(self._waiting) == 1:
            # After everything that is ready now has had its turn.
            loop.call_soon(self._go)
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for begin in range(0, len(waiting), MOST):
            task = asyncio.create_task(self._answer(waiting[begin : begin + MOST]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            left = iter(group)
            async for found in self._serve([asked for asked, _ in group]):
                _, answer = next(left)
                # Whoever asked may have given up meanwhile.
                if answer.done():
                    continue
                if isinstance(found, Exception):
                    answer.set_exception(found)
                else:
                    answer.set_result(found)
            _tell(group, RuntimeError("a stage gave fewer answers than it was asked for"))
        except asyncio.CancelledError:
            for _, answer in group:
                answer.cancel()
            raise
        except Exception as error:
            _tell(group, error)


def _tell(group: Sequence[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    """Whatever it is, nobody may wait for ever."""
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)

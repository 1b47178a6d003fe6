"""Reading Redis from an event loop: what is asked while a read is under way goes together in the next. Hot path.

Each read costs a round trip and the work around it. Under load the second grows fastest, so requests share it: the
busier the loop, the more of them a round trip answers, and never are more than `LANES` connections open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from lamina.store.protocol import ReadKey, Snapshot
from lamina.store.redis import Command, commands, folded_commands, snapshot, unavailable, unfold

LANES = 2
MOST_KEYS = 200
"""Keys in one round trip; Redis answers nobody else meanwhile."""


@dataclass
class _Asked:
    keys: Sequence[ReadKey]
    answer: asyncio.Future[Snapshot]


def impatient(url: str, timeout_s: float) -> redis.asyncio.Redis:
    """A client for the path of a request: an answer within `timeout_s` or an error, and no second try."""
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


class AsyncRedisReader:
    """The read side for an event loop: `read` as in `OnlineStore`, awaited; fails within `timeout_ms`, no retry."""

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        self._redis = impatient(url, timeout_ms / 1000)
        self._waiting: list[_Asked] = []
        self._lanes: set[asyncio.Task[None]] = set()

    async def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """See `OnlineStore.read`."""
        asked = _Asked(keys, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._lanes) < LANES:
            self._lanes.add(asyncio.create_task(self._lane()))
        return await asked.answer

    async def ping(self) -> None:
        """Return when Redis answers.

        Raises: StoreUnavailable: when it does not.
        """
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _lane(self) -> None:
        try:
            await self._serve()
        finally:
            # In the turn in which it finds nobody waiting: who comes next must not count on it.
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _serve(self) -> None:
        while self._waiting:
            taken = self._take()
            if not taken:
                continue
            try:
                found = await self._read([key for asked in taken for key in asked.keys])
            except Exception as error:
                # Whatever it is, nobody may wait for ever.
                known = isinstance(error, RedisError | OSError)
                for asked in taken:
                    if not asked.answer.done():
                        asked.answer.set_exception(unavailable(error) if known else error)
                continue
            at = 0
            for asked in taken:
                end = at + len(asked.keys)
                # Whoever asked may have given up meanwhile.
                if not asked.answer.done():
                    asked.answer.set_result(Snapshot(found.replies[at:end], found.through_ms))
                at = end

    def _take(self) -> list[_Asked]:
        """The oldest of those that wait, up to `MOST_KEYS` keys but at least one; without those who gave up."""
        end, keys = 1, len(self._waiting[0].keys)
        while end < len(self._waiting) and keys + len(self._waiting[end].keys) <= MOST_KEYS:
            keys += len(self._waiting[end].keys)
            end += 1
        taken, self._waiting = self._waiting[:end], self._waiting[end:]
        return [asked for asked in taken if not asked.answer.done()]

    async def _read(self, keys: Sequence[ReadKey]) -> Snapshot:
        found = snapshot(keys, await self._ask(commands(keys)))
        if more := list(folded_commands(keys, found)):
            unfold(keys, found, await self._ask(more))
        return found

    async def _ask(self, commands: Iterable[Command]) -> list[object]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            answers: list[object] = await pipe.execute()
            return answers

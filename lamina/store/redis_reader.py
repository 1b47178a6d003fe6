"""Reading Redis from an event loop, in batches: requests that come while a read is under way share the next. Hot path.

A read costs a round trip, and processor time around it, which under load is what runs out. So requests share reads:
the busier the loop, the more of them one round trip answers. At most `LANES` connections are open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import cast

import hiredis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection as Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from lamina.store.protocol import Command, ReadKey, Snapshot
from lamina.store.redis import commands, folded_commands, snapshot, unavailable, unfold

LANES = 2
MOST_KEYS = 200
"""Keys in one round trip; Redis answers nobody else meanwhile."""


@dataclass
class _Asked:
    keys: Sequence[ReadKey]
    also: Sequence[Command]
    answer: asyncio.Future[Snapshot]


class RedisExchange:
    """Redis's answers to commands in one round trip, as in a pipeline of the client but for less than half the work.

    It keeps the connections that it has opened, as many as there were exchanges at once: the client's pool would cost
    as much as the read itself. A connection that the server has closed meanwhile is opened again.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # No `socket_timeout`: with one the client makes a task of each write, and an exchange has its own.
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=None, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        self._idle: list[Connection] = []

    async def ask(self, asked: Iterable[Command]) -> list[object]:
        """The answers, errors of single commands among them.

        Raises: TimeoutError, RedisError, OSError: it did not answer all of them within the time.
        """
        packed = [hiredis.pack_command(command) for command in asked]  # type: ignore[arg-type]
        raw: list[object] = []
        async with asyncio.timeout(self._timeout_s):
            connection = self._idle.pop() if self._idle else await self._new()
            try:
                if connection.is_connected and await connection.can_read():
                    # Nothing was asked: it is the end that the server sent. What is sent now opens it again.
                    await connection.disconnect(nowait=True)
                await connection.send_packed_command(b"".join(packed))
                for _ in packed:
                    try:
                        raw.append(await connection.read_response(disable_decoding=True, timeout=inf))
                    except ResponseError as error:
                        raw.append(error)
            except BaseException:
                # What is still to come would be taken for the answer to somebody else.
                await connection.disconnect(nowait=True)
                raise
            finally:
                self._idle.append(connection)
        return raw

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _new(self) -> Connection:
        return cast("Connection", await self._redis.connection_pool.get_connection())  # type: ignore[no-untyped-call]


class AsyncRedisReader:
    """The read side for an event loop: `read` as in `OnlineStore`, awaited; fails within `timeout_ms`, no retry."""

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        self._redis = RedisExchange(url, timeout_s=timeout_ms / 1000)
        self._waiting: list[_Asked] = []
        self._lanes: set[asyncio.Task[None]] = set()

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        """See `OnlineStore.read`. `also` goes along: what of it fails is its answer, and no failure of the read."""
        asked = _Asked(keys, also, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._lanes) < LANES:
            self._lanes.add(asyncio.create_task(self._lane()))
        return await asked.answer

    async def ping(self) -> None:
        """Return when Redis answers.

        Raises: StoreUnavailable: when it does not.
        """
        try:
            without_errors(await self._redis.ask([("PING",)]))
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.close()

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
                also = [command for asked in taken for command in asked.also]
                found = await self._read([key for asked in taken for key in asked.keys], also)
            except Exception as error:
                # Whatever it is, nobody may wait for ever.
                known = isinstance(error, RedisError | OSError)  # a TimeoutError is an OSError
                for asked in taken:
                    if not asked.answer.done():
                        asked.answer.set_exception(unavailable(error) if known else error)
                continue
            at = along = 0
            for asked in taken:
                end, last = at + len(asked.keys), along + len(asked.also)
                # Whoever asked may have given up meanwhile.
                if not asked.answer.done():
                    asked.answer.set_result(Snapshot(found.replies[at:end], found.batch_end_ms, found.also[along:last]))
                at, along = end, last

    def _take(self) -> list[_Asked]:
        """The requests that wait longest, at least one, up to `MOST_KEYS` keys in all; cancelled ones are dropped."""
        end, keys = 1, len(self._waiting[0].keys)
        while end < len(self._waiting) and keys + len(self._waiting[end].keys) <= MOST_KEYS:
            keys += len(self._waiting[end].keys)
            end += 1
        taken, self._waiting = self._waiting[:end], self._waiting[end:]
        return [asked for asked in taken if not asked.answer.done()]

    async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
        raw = await self._redis.ask(chain(commands(keys), also))
        own = len(raw) - len(also)
        found = snapshot(keys, without_errors(raw[:own]))
        found.also = tuple(raw[own:])
        if more := list(folded_commands(keys, found)):
            unfold(keys, found, without_errors(await self._redis.ask(more)))
        return found


def without_errors(raw: list[object]) -> list[object]:
    """The answers, or the first error among them raised."""
    for each in raw:
        if isinstance(each, Exception):
            raise each
    return raw

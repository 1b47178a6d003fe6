"""What each process that serves has counted, told to the others by Redis, so that a page of any one shows all of them.

A process tells every few seconds, and what it told ends by itself soon after it has told last. It reads what the others
told in the same round, so that no page waits for Redis, and none is missing where Redis is away.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from redis.exceptions import RedisError

from lamina.clock import Clock
from lamina.store.protocol import Command
from lamina.store.redis_reader import without_errors
from serving.console.figures import Buckets, Looks, Times, Traffic, ages, latencies, shown, times
from serving.routes.health import Readiness

EVERY_S, LIVES_S = 4.0, 15.0
"""Between two times that a process tells, and how long it is believed after one."""
TIMEOUT_S = 1.0
PREFIX, MEMBERS = "lamina:process:", "lamina:processes"
NEWEST = 12

Ready = Callable[[], Awaitable[Readiness]]
Newest = Callable[[], Mapping[str, Sequence[bytes]]]


class Redis(Protocol):
    """Commands in one round trip; implemented by `RedisExchange`."""

    async def ask(self, asked: Iterable[Command]) -> list[object]:
        """The answers, errors of single commands among them."""

    async def close(self) -> None:
        """Close every connection."""


class Told(BaseModel):
    """What a process tells of itself. answers: by system the newest ones, the newest first, as a table shows them."""

    model_config = ConfigDict(frozen=True)

    name: str
    began_ms: int
    status: str
    traffic: list[Traffic]
    latencies: list[Buckets]
    ages: list[Buckets]
    times: list[Times]
    answers: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class All:
    """What is known of all processes. problem: why others may be missing, or None."""

    processes: Sequence[Told]
    problem: str | None

    def answers(self, system: str) -> list[dict[str, Any]]:
        """The newest answers of a system, the newest first."""
        found = [each for told in self.processes for each in told.answers.get(system, [])]
        return sorted(found, key=lambda each: -int(each["served_at"]))[:NEWEST]


class Processes:
    """This process among those that serve on one Redis; it is alone where there is none.

    Args: name: of this process, for people; newest: by system the newest answers that it has read, as JSON, the oldest
    first.
    """

    def __init__(self, redis: Redis | None, name: str, newest: Newest, clock: Clock) -> None:
        self._redis, self._name, self._newest = redis, name, newest
        self._began_ms, self._key = clock(), PREFIX + secrets.token_hex(8)
        self._told, self._looked = Looks(), Looks()
        self._others: Sequence[Told] = ()
        self._problem: str | None = None

    async def tell(self, ready: Ready) -> None:
        """Say how this process does, and hear it of the others."""
        if self._redis is None:
            return
        status = (await ready()).status
        value = (await asyncio.to_thread(self._now, self._told, status)).model_dump_json()
        try:
            *_, members = without_errors(
                await self._redis.ask(
                    [
                        ("SET", self._key, value, "PX", str(round(1000 * LIVES_S))),
                        ("SADD", MEMBERS, self._key),
                        ("SMEMBERS", MEMBERS),
                    ]
                )
            )
            keys = sorted(each.decode() for each in cast("set[bytes]", members) if each != self._key.encode())
            held = without_errors(await self._redis.ask([("MGET", *keys)]))[0] if keys else []
            values = dict(zip(keys, cast("Sequence[bytes | None]", held), strict=True))
            # Who was away for so long and comes back is among them again when he tells next.
            if gone := [key for key, each in values.items() if each is None]:
                without_errors(await self._redis.ask([("SREM", MEMBERS, *gone)]))
        except (RedisError, OSError, TimeoutError) as error:
            self._others, self._problem = (), f"Redis does not answer ({type(error).__name__}): of this process alone."
            return
        self._others, unreadable = _read([each for each in values.values() if each is not None])
        self._problem = f"Not counted, as they are of another version: {unreadable}." if unreadable else None

    def all(self, status: str) -> All:
        """What all processes told, this one as it is now."""
        found = [self._now(self._looked, status), *self._others]
        return All(sorted(found, key=lambda told: (told.name, told.began_ms)), self._problem)

    async def close(self) -> None:
        """What this process told is no more."""
        if self._redis is not None:
            try:
                await self._redis.ask([("DEL", self._key), ("SREM", MEMBERS, self._key)])
            except (RedisError, OSError, TimeoutError):
                pass  # it ends by itself
            await self._redis.close()

    def _now(self, looks: Looks, status: str) -> Told:
        newest = self._newest()
        return Told(
            name=self._name,
            began_ms=self._began_ms,
            status=status,
            traffic=looks.traffic(),
            latencies=latencies(),
            ages=ages(),
            times=times(newest),
            answers={system: [shown(raw) for raw in list(found)[-NEWEST:][::-1]] for system, found in newest.items()},
        )


def _read(values: Sequence[bytes]) -> tuple[list[Told], int]:
    """What can be read of them, and how many cannot."""
    found = []
    for value in values:
        try:
            found.append(Told.model_validate_json(value))
        except ValidationError:
            continue
    return found, len(values) - len(found)

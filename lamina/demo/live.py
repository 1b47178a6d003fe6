"""The live day: events posted to the API at a fixed rate, whatever the answers do, and what came back.

The day is compressed: events keep their event times and their order and are sent at `rate_s`. Latency counts from the
moment a request was due, not from when it was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

CONNECTIONS = 64
ATTEMPT_TIMEOUT_S = 10.0


@dataclass
class LiveResult:
    """What the API answered. `latency_ms` has one value a decision, from the moment it was due."""

    posted: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    labels: int = 0
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Requests for a decision that got one."""
        return len(self.decisions)


@dataclass(frozen=True)
class Post:
    """One request: path, JSON body, and whether its answer is a decision."""

    path: str
    body: bytes
    is_decision: bool = True


def in_order(transactions: Sequence[tuple[int, bytes]], labels: Sequence[tuple[int, bytes]]) -> Iterator[Post]:
    """Posts of both kinds by event time, from pairs of event time in milliseconds and body."""
    every = [(at, 1, body) for at, body in transactions] + [(at, 0, body) for at, body in labels]
    for _, kind, body in sorted(every, key=lambda e: (e[0], e[1])):
        yield Post("/fraud/decisions" if kind else "/fraud/labels", body, bool(kind))


async def post_all(
    base_url: str,
    posts: Sequence[Post],
    rate_s: float,
    on_done: Callable[[], None],
    watch: Callable[[Post, float], Coroutine[Any, Any, None]] | None = None,
    watch_every: int = 20,
) -> LiveResult:
    """Post everything at `rate_s` requests a second; returns when all are answered. Nothing is sent twice.

    Args: watch: is given every `watch_every`-th decision's post and when it was sent, and is waited for at the end.
    """
    result = LiveResult()
    watched = []
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=ATTEMPT_TIMEOUT_S)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(base_url, connector=connector, timeout=timeout, headers=headers) as session:
        start = time.perf_counter()
        tasks = []
        for i, post in enumerate(posts):
            due = start + i / rate_s
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(_post(session, post, due, result, on_done)))
            if watch and post.is_decision and i % watch_every == 0:
                watched.append(asyncio.create_task(watch(post, time.perf_counter())))
        await asyncio.gather(*tasks)
        result.seconds = time.perf_counter() - start
        await asyncio.gather(*watched)
    return result


async def _post(
    session: aiohttp.ClientSession, post: Post, due: float, result: LiveResult, on_done: Callable[[], None]
) -> None:
    result.posted += post.is_decision
    try:
        async with session.post(post.path, data=post.body) as response:
            raw = await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        result.failed[type(error).__name__] += 1
        return
    finally:
        on_done()
    if status >= 300:
        result.failed[f"HTTP {status}"] += 1
    elif post.is_decision:
        result.latency_ms.append((time.perf_counter() - due) * 1000)
        result.decisions.append(orjson.loads(raw))
    else:
        result.labels += 1

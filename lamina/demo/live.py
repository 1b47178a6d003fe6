"""The live day: events posted to the API at a fixed rate, whatever the answers do, and what came back.

The day is compressed: events keep their event times and their order and are sent at `rate_s`. Latency counts from the
moment a request was due, not from when it was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pyarrow as pa
import pyarrow.compute as pc

CONNECTIONS = 64
ATTEMPT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Route:
    """Where the events of a topic are posted, how the report calls them, and whether each gets an answer.

    `only`: of a topic whose events go several ways, the column that says where, and its values that go this way.
    """

    topic: str
    path: str
    name: str
    is_answered: bool = False
    only: tuple[str, frozenset[str]] | None = None

    def of(self, events: pa.Table) -> pa.Table:
        """Those of the topic's `events` that are posted here.

        >>> clicks = Route("user-events", "/clicks", "clicks", only=("event_type", frozenset({"click"})))
        >>> clicks.of(pa.table({"event_type": ["cart", "click"], "page": ["a", "b"]}))["page"].to_pylist()
        ['b']
        """
        if self.only is None:
            return events
        column, values = self.only
        return events.filter(pc.is_in(events[column], pa.array(sorted(values))))


@dataclass
class LiveResult:
    """What the API answered. `latency_ms` has one value an answer, from the moment it was due; `accepted` counts what
    was taken in without one, by the route's name.
    """

    posted: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    answers: list[dict[str, Any]] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Requests for an answer that got one."""
        return len(self.answers)

    def taken(self, route: Route) -> int:
        """How many of the events of `route` the API has: answered, or accepted without an answer."""
        return self.answered if route.is_answered else self.accepted[route.name]


@dataclass(frozen=True)
class Post:
    """One request: where it goes, and its JSON body."""

    route: Route
    body: bytes


def in_order(events: Iterable[tuple[Route, Iterable[tuple[int, bytes]]]]) -> list[Post]:
    """Posts by event time, from pairs of event time in milliseconds and body; of one time, the answered ones last."""
    every = [(at, Post(route, body)) for route, pairs in events for at, body in pairs]
    return [post for _, post in sorted(every, key=lambda pair: (pair[0], pair[1].route.is_answered))]


async def post_all(
    base_url: str,
    posts: Iterable[Post],
    rate_s: float,
    on_done: Callable[[], None],
    watch: Callable[[Post, float], Coroutine[Any, Any, None]] | None = None,
    watch_every: int = 20,
) -> LiveResult:
    """Post everything at `rate_s` requests a second; returns when all are answered. Nothing is sent twice.

    Args: watch: is given every `watch_every`-th post, unless it gets no answer, and when it was sent; it is waited for
    at the end.
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
            if watch and post.route.is_answered and i % watch_every == 0:
                watched.append(asyncio.create_task(watch(post, time.perf_counter())))
        await asyncio.gather(*tasks)
        result.seconds = time.perf_counter() - start
        await asyncio.gather(*watched)
    return result


async def _post(
    session: aiohttp.ClientSession, post: Post, due: float, result: LiveResult, on_done: Callable[[], None]
) -> None:
    result.posted += post.route.is_answered
    try:
        async with session.post(post.route.path, data=post.body) as response:
            raw = await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        result.failed[type(error).__name__] += 1
        return
    finally:
        on_done()
    if status >= 300:
        result.failed[f"HTTP {status}"] += 1
    elif post.route.is_answered:
        result.latency_ms.append((time.perf_counter() - due) * 1000)
        result.answers.append(orjson.loads(raw))
    else:
        result.accepted[post.route.name] += 1

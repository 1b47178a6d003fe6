"""The live day on its way: posted to the API in order of time, watched, and waited for until Kafka has all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event

import orjson
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from lamina.contracts.topics import predictions_of
from lamina.demo import collect
from lamina.demo.freshness import FreshnessProbe
from lamina.demo.live import LiveResult, Post, in_order, post_all
from lamina.demo.sources import LiveDay
from lamina.demo.story import Story
from lamina.errors import LaminaError
from lamina.settings import Settings
from lamina.worlds.wire import event_bytes

SETTLE_TIMEOUT_S = 180.0


class DemoError(LaminaError):
    """The main job came to something it cannot go on from."""


def post_day(
    story: Story, day: LiveDay, probe: FreshnessProbe, api_url: str, rate_s: float, console: Console
) -> LiveResult:
    """Post every event of `day` where the story says, at `rate_s` requests a second; `probe` is closed at the end."""
    posts = posts_of(story, day.events)

    async def watch(post: Post, sent: float) -> None:
        await probe.watch(orjson.loads(post.body), sent)

    async def run(advance: Callable[[], None]) -> LiveResult:
        try:
            return await post_all(api_url, posts, rate_s, advance, watch)
        finally:
            await probe.close()

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("posting", total=len(posts))
        return asyncio.run(run(lambda: progress.advance(task)))


def posts_of(story: Story, events: Mapping[str, pa.Table]) -> list[Post]:
    """Requests for the events of a day, by topic, in order of time."""
    return in_order((route, _timed(route.of(events[route.topic]))) for route in story.routes)


def post_until(api_url: str, posts: Iterator[Post], rate_s: float, stop: Event) -> LiveResult:
    """Post what `posts` gives at `rate_s` requests a second until `stop` is set, or there is no more."""

    def wanted() -> Iterator[Post]:
        while not stop.is_set() and (post := next(posts, None)) is not None:
            yield post

    return asyncio.run(post_all(api_url, wanted(), rate_s, lambda: None))


def wait_for_kafka(
    settings: Settings, story: Story, live: LiveResult, before: Mapping[str, int] | None = None
) -> dict[str, int]:
    """What is on each topic once all is there that the API has taken: it answers before its producer has flushed.

    Args: before: what was there already.
    Raises: DemoError: when some of it does not come.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    expected = {topic: sum(map(live.taken, routes)) for topic, routes in story.by_topic.items()}
    expected[predictions_of(story.system)] = live.answered
    expected = {topic: count + (before or {}).get(topic, 0) for topic, count in expected.items()}
    while True:
        found = collect.on_kafka(settings)
        if all(found[topic] >= count for topic, count in expected.items()):
            return found
        if time.monotonic() > deadline:
            raise DemoError(f"the API has taken {expected}, but Kafka holds {found}")
        time.sleep(1)


def _timed(table: pa.Table) -> list[tuple[int, bytes]]:
    return list(zip(table["timestamp"].to_pylist(), event_bytes(table), strict=True))

"""The online store for benchmarks: a stack of its own, and a history of the fraud world published to it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from benchmarks.tiles import batch_writes
from lamina.clock import midnight_ms
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan, make_plan
from lamina.store.redis import RedisStore
from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.protocol import World

PLAN: Plan = make_plan(FEATURES)


@contextmanager
def online_stack(folder: Path, services: Collection[str], settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Some services on free ports, stopped at the end; nothing of this process's settings reaches them.

    Args: settings: variables to set instead, by their whole names.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("LAMINA_")} | dict(settings or {})
    with Stack(folder / "stack", services=set(services), env=env, preferred_ports=False) as stack:
        yield stack


def make_world(users: int, days: int) -> FraudWorld:
    """Users with a history of `days` days and one day more, for the requests."""
    return FraudWorld(seed=7, users=users, days=days + 1, start=date(2025, 1, 1))


def preload(redis_url: str, world: World, days: int) -> int:
    """Publish the batch layer of the first `days` days; returns its end, epoch ms."""
    made = [world.day(n) for n in range(days)]
    topics: dict[str, list[EventRow]] = {
        topic: [row for day in made for row in day[topic].to_pylist()] for topic in made[0]
    }
    arrived = {view.source.name: topics[view.source.topic] for view in FEATURES.views}
    batch_end_ms = midnight_ms(world.date_of(days))
    store = RedisStore(redis_url)
    store.publish(batch_writes(PLAN, arrived, batch_end_ms))
    for entity in FEATURES.entities:
        store.advance_watermark(entity.name, batch_end_ms)
    return batch_end_ms

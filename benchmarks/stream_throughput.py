"""Events per second from Kafka through Flink and the sink to Redis, with all of them on this machine.

Events wait on the topic before the job starts. The rate is taken from the moment a quarter of all tiles is in Redis,
when the JVM has compiled what it runs, to the moment the last one is: by the offsets that the sink commits after Redis
has acknowledged. `lost` compares what Redis counts with what was sent.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import psutil
import typer
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from benchmarks.report import emit
from benchmarks.stream import TILINGS, preload, stream_stack, submit
from lamina.contracts.topics import FEATURE_TILES
from lamina.local.stack import Stack
from lamina.settings import Settings
from lamina.store.tiles import decode_speed
from lamina.streams.sink import GROUP
from lamina.worlds.fraud import FraudWorld
from lamina.worlds.wire import event_bytes

BARS = {"events_per_s": ">= 10000", "lost": "== 0"}
WARM = 0.25
DEADLINE_S = 600.0
POLL_S = 0.25


def main(
    quick: Annotated[bool, typer.Option(help="Fewer events.")] = False,
    events: Annotated[int, typer.Option(help="How many; 0: by --quick.")] = 0,
    backend: Annotated[str, typer.Option(help="Flink's state backend.")] = "hashmap",
    mini_batch_ms: Annotated[int, typer.Option(help="Flink's mini-batches.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    wanted = events or (60_000 if quick else 400_000)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, stream_stack(Path(folder)) as (stack, settings):
        n = preload(settings, _events(wanted, counts))
        stack.start("sink")
        submit(stack, settings, "--state-backend", backend, "--mini-batch-ms", str(mini_batch_ms))
        progress = _watch(stack, settings, counts)
        held = _held(settings, counts)
    warm, last = progress.at(WARM), progress.at(1.0)
    seconds = progress.times[last] - progress.times[warm]
    share = 1 - progress.moved[warm] / progress.moved[last]
    rate, measured = share * n / seconds, share * n
    used = {name: s - progress.cpu_s[warm][name] for name, s in progress.cpu_s[last].items()}
    figures: dict[str, float | int | str] = {
        "events_per_s": round(rate),
        "tiles_per_s": round(share * progress.moved[last] / seconds),
        "events": n,
        "measured": round(measured),
        "lost": n - held,
        **{f"{name}_cpu_us": round(1e6 * seconds / measured, 1) for name, seconds in used.items()},
        "state_backend": backend,
    }
    if not emit("stream_throughput", figures, BARS, json_file):
        raise typer.Exit(1)


def _events(wanted: int, counts: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Transactions of as many days as it takes, with their user; counted on the way."""
    world = FraudWorld(seed=11, users=20_000, days=60, start=date(2025, 1, 1))
    for raw in itertools.islice((raw for table in world.stream() for raw in event_bytes(table)), wanted):
        user = str(orjson.loads(raw)["user_id"])
        counts[user] += 1
        yield user, raw


@dataclass
class Progress:
    """How many tile updates the sink had moved at which time, sampled until all were; and processor time by service."""

    times: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    cpu_s: list[dict[str, float]] = field(default_factory=list)

    def at(self, share: float) -> int:
        """The first sample by which `share` of all updates had been moved."""
        return int(np.searchsorted(self.moved, share * self.moved[-1]))


def _watch(stack: Stack, settings: Settings, counts: Counter[str]) -> Progress:
    """Sample until Redis counts every event of every user."""
    topic = settings.topic_prefix + FEATURE_TILES
    client = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": settings.topic_prefix + GROUP})
    places = [TopicPartition(topic, p) for p in client.list_topics(topic, timeout=30).topics[topic].partitions]
    found, deadline = Progress(), time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        moved = sum(max(p.offset, 0) for p in client.committed(places, timeout=30))
        found.times.append(time.monotonic())
        found.moved.append(moved)
        found.cpu_s.append(_cpu_s(stack))
        if moved and moved == sum(client.get_watermark_offsets(p, timeout=30)[1] for p in places):
            if _held(settings, counts) == counts.total():
                client.close()
                return found
        time.sleep(POLL_S)
    raise RuntimeError(f"Redis had not counted all events after {DEADLINE_S:.0f} s")


def _held(settings: Settings, counts: Counter[str]) -> int:
    """Events that Redis counts in the finest tiling, over all users."""
    return sum(_counted(settings, list(counts)).values())


def _counted(settings: Settings, users: list[str]) -> dict[str, int]:
    client = Redis.from_url(settings.redis_url.get_secret_value())
    with client.pipeline(transaction=False) as pipe:
        for user in users:
            pipe.hgetall(f"user:{user}")
        replies = pipe.execute()
    client.close()
    tilings = TILINGS[:1]
    found = (decode_speed(tilings, fields, {})[tilings[0].id].tiles for fields in replies)
    return {user: sum(tiles.n) for user, tiles in zip(users, found, strict=True)}


def _cpu_s(stack: Stack) -> dict[str, float]:
    """Processor time of each service so far, in seconds."""
    found: dict[str, float] = {}
    for state in stack.status():
        processes = [
            p for pid in state.pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        ]
        if processes:
            found[state.name] = sum(sum(p.cpu_times()[:2]) for p in processes)
    return found


if __name__ == "__main__":
    typer.run(main)

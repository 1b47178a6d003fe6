"""Events per second from Kafka through Flink and the sink to Redis, with all of them on this machine.

Events wait on the topic before the job starts. The rate is taken from the moment a quarter of all tiles is in Redis,
when the JVM has compiled what it runs, to the moment the last one is: by the offsets that the sink commits after Redis
has acknowledged. `lost` compares what Redis counts with what was sent.

Beside it, in the long form, the same tiles of the same events by what a user would pick instead, one after the other:
`quix_*` by Quix Streams, `pyflink_per_event_*` by keyed functions of PyFlink's DataStream API on the same cluster, each
with as many Python workers as there are cores (`benchmarks/peers`). They do less: they go from topic to topic, without
sink and Redis, look for no malformed events, and Quix Streams lets no state expire. `over_*` is how often their rate
goes into ours: above 1 ours is faster; `*_cpu_us` is processor time of the peer an event, for PyFlink that of the whole
cluster, and `*_kafka_cpu_us` the broker's for it; `*_different` counts tiles that are not what ours are.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

import orjson
import typer
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from benchmarks.peers.throughput import beside
from benchmarks.progress import Progress, service_cpu_s
from benchmarks.report import emit
from benchmarks.stream import TILE_SPECS, preload, start_stream, stream_stack
from lamina.contracts.topics import FEATURE_TILES
from lamina.local.stack import Stack
from lamina.settings import Settings
from lamina.store.tiles import decode_speed
from lamina.streams.sink import GROUP
from lamina.streams.submit import cancel
from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.wire import event_bytes

BARS = {"lost": "== 0"}
STEADY_BARS = {"events_per_s": ">= 10000"}
PEER_BARS = {"quix_different": "== 0", "pyflink_per_event_different": "== 0"}
WARM = 0.25
DEADLINE_S = 600.0
POLL_S = 0.25


def main(
    quick: Annotated[bool, typer.Option(help="Fewer events.")] = False,
    events: Annotated[int, typer.Option(help="How many; 0: by --quick.")] = 0,
    backend: Annotated[str, typer.Option(help="Flink's state backend.")] = "hashmap",
    mini_batch_ms: Annotated[int, typer.Option(help="Flink's mini-batches.")] = 0,
    peers: Annotated[bool | None, typer.Option(help="What else would do it, beside; in the long form only.")] = None,
    peer_events: Annotated[int, typer.Option(help="How many of the events the peers get at most.")] = 150_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    wanted = events or (30_000 if quick else 400_000)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, stream_stack(Path(folder)) as (stack, settings):
        n = preload(settings, _events(wanted, counts))
        job = start_stream(stack, settings, "--state-backend", backend, "--mini-batch-ms", str(mini_batch_ms))
        steady = _watch(stack, settings, counts).steady(WARM)
        measured = steady.share * n
        figures: dict[str, float | int | str] = {
            "events_per_s": round(measured / steady.seconds),
            "tiles_per_s": round(steady.per_s),
            "events": n,
            "measured": round(measured),
            "lost": n - _held(settings, counts),
            **{f"{name}_cpu_us": round(1e6 * s / measured, 1) for name, s in steady.cpu_s.items()},
            "state_backend": backend,
        }
        # A short form ends before the JVM has compiled what it runs.
        bars = BARS if quick else BARS | STEADY_BARS
        if not quick if peers is None else peers:
            cancel(settings.flink_url, job)
            stack.stop_service("sink")
            wanted = min(n, peer_events)
            figures |= beside(stack, settings, Path(folder), wanted, measured / steady.seconds)
            bars |= PEER_BARS
    if not emit("stream_throughput", figures, bars, json_file):
        raise typer.Exit(1)


def _events(wanted: int, counts: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Transactions of as many days as it takes, with their user; counted on the way."""
    world = FraudWorld(seed=11, users=20_000, days=60, start=date(2025, 1, 1))
    for raw in itertools.islice((raw for table in world.stream() for raw in event_bytes(table)), wanted):
        user = str(orjson.loads(raw)["user_id"])
        counts[user] += 1
        yield user, raw


def _watch(stack: Stack, settings: Settings, counts: Counter[str]) -> Progress:
    """Sample until Redis counts every event of every user."""
    topic = settings.topic_prefix + FEATURE_TILES
    client = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": settings.topic_prefix + GROUP})
    places = [TopicPartition(topic, p) for p in client.list_topics(topic, timeout=30).topics[topic].partitions]
    found, deadline = Progress(), time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        moved = sum(max(p.offset, 0) for p in client.committed(places, timeout=30))
        found.note(time.monotonic(), moved, service_cpu_s(stack))
        if moved and moved == sum(client.get_watermark_offsets(p, timeout=30)[1] for p in places):
            if _held(settings, counts) == counts.total():
                client.close()
                return found
        time.sleep(POLL_S)
    raise RuntimeError(f"Redis had not counted all events after {DEADLINE_S:.0f} s")


def _held(settings: Settings, counts: Counter[str]) -> int:
    """Events that Redis counts in the finest tile spec, over all users."""
    return sum(_counted(settings, list(counts)).values())


def _counted(settings: Settings, users: list[str]) -> dict[str, int]:
    client = Redis.from_url(settings.redis_url.get_secret_value())
    with client.pipeline(transaction=False) as pipe:
        for user in users:
            pipe.hgetall(f"user:{user}")
        replies = pipe.execute()
    client.close()
    tile_specs = TILE_SPECS[:1]
    found = (decode_speed(tile_specs, fields, {})[tile_specs[0].id].tiles for fields in replies)
    return {user: sum(tiles.n) for user, tiles in zip(users, found, strict=True)}


if __name__ == "__main__":
    typer.run(main)

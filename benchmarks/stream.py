"""The stream for benchmarks: a stack of its own, the job on it, and what Redis holds of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.online import PLAN, online_stack
from lamina.definitions.fraud import FEATURES, USER
from lamina.local import archive, jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.settings import ROOT, Settings
from lamina.streams.submit import StreamJob, submit_stream_job
from lamina.streams.topics import create_topics

TILE_SPECS = tuple(t for t in PLAN.speed if t.entity == USER)
TILES_PER_EVENT = sum(1 if t.inline else 1 + len(t.keyed) for t in TILE_SPECS)
CODE = ROOT / "dist" / "code.zip"


@contextmanager
def stream_stack(folder: Path) -> Iterator[tuple[Stack, Settings]]:
    """Kafka with its topics, Redis and Flink, stopped at the end; and the settings that lead there."""
    with online_stack(folder, ("kafka", "redis", "flink")) as stack:
        found = {name.removeprefix("LAMINA_").lower(): value for name, value in stack.env.items()}
        settings = Settings(**found)  # type: ignore[arg-type]
        create_topics(settings.kafka_bootstrap)
        yield stack, settings


def submit(stack: Stack, settings: Settings, *arguments: str, checkpoint: str | None = None) -> str:
    """Id of the stream job of `fraud`, running; `arguments` are those of `jobs.flink.stream_features`.

    Args: checkpoint: where to continue from.
    """
    (connector,) = jars.flink_connector()
    job = StreamJob(
        system=FEATURES.system,
        flink=flink_home() / "bin" / "flink",
        python=flink_env() / "bin" / "python",
        code=archive.pack(CODE),
        connector=connector,
        savepoint=checkpoint,
        arguments=arguments,
    )
    return submit_stream_job(settings, job, stack.flink_env())


def start_stream(stack: Stack, settings: Settings, *arguments: str) -> str:
    """Start the sink and submit the stream job at the same time; returns the job's id, both running."""
    with ThreadPoolExecutor(1) as beside:
        sink = beside.submit(stack.start, "sink")
        job = submit(stack, settings, *arguments)
        sink.result()
    return job


def producer(settings: Settings, *, linger_ms: int) -> Producer:
    """A producer that waits at most `linger_ms` for a fuller batch."""
    return Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "linger.ms": linger_ms,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def preload(settings: Settings, events: Iterable[tuple[str, bytes]]) -> int:
    """Put events, each with its user, onto the topic; returns how many."""
    client = producer(settings, linger_ms=50)
    n = 0
    for n, (user, raw) in enumerate(events, 1):
        client.produce(settings.topic_prefix + FEATURES.request.topic, raw, user.encode())
        if n % 10_000 == 0:
            client.poll(0)
    if left := client.flush(120):
        raise RuntimeError(f"{left} events were not acknowledged")
    return n

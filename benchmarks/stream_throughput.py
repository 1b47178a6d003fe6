"""Events per second from Kafka through Flink and the sink to Redis, with all of them on this machine.

Events wait on the topic before the job starts. The rate is taken from the moment a fifth of them has been read, when
the JVM has compiled what it runs, to the moment the last tile can be read in Redis. `lost` compares what Redis counts
with what was sent.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import orjson
import psutil
import typer
from redis import Redis

from benchmarks.report import emit
from benchmarks.stream import TILES_PER_EVENT, TILINGS, preload, stream_stack, submit
from lamina.local.stack import Stack
from lamina.settings import Settings
from lamina.store.tiles import decode_speed
from lamina.worlds.fraud import FraudWorld
from lamina.worlds.wire import event_bytes

BARS = {"events_per_s": ">= 10000", "lost": "== 0"}
WARM = 0.2
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
    wanted = events or (120_000 if quick else 400_000)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, stream_stack(Path(folder)) as (stack, settings):
        n = preload(settings, _events(wanted, counts))
        stack.start("sink")
        job = submit(stack, settings, "--state-backend", backend, "--mini-batch-ms", str(mini_batch_ms))
        begin, before = _await_read(settings, job, WARM * n), _cpu_s(stack)
        end = _await_tiles(settings, counts)
        used = {name: seconds - before[name] for name, seconds in _cpu_s(stack).items()}
        held = _held(settings, counts)
    measured = n - begin[1]
    rate = measured / (end - begin[0])
    figures: dict[str, float | int | str] = {
        "events_per_s": round(rate),
        "tiles_per_s": round(rate * TILES_PER_EVENT),
        "events": n,
        "measured": measured,
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


def _job(settings: Settings, job: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{settings.flink_url}/jobs/{job}", timeout=20) as response:
        found: dict[str, Any] = json.load(response)
    return found


def _await_read(settings: Settings, job: str, events: float) -> tuple[float, int]:
    """When the source had passed on so many events, and how many exactly."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        source = next(v for v in _job(settings, job)["vertices"] if v["name"].startswith("Source"))
        read = _events_of(source)
        if read >= events:
            return time.monotonic(), read
        time.sleep(POLL_S)
    raise RuntimeError(f"the source had not read {events:.0f} events after {DEADLINE_S:.0f} s")


def _events_of(source: dict[str, Any]) -> int:
    return int(source["metrics"]["write-records"])


def _await_tiles(settings: Settings, counts: Counter[str]) -> float:
    """When Redis counted every event of every user."""
    deadline = time.monotonic() + DEADLINE_S
    waiting = counts
    while time.monotonic() < deadline:
        found = _counted(settings, list(waiting)[:500])
        if all(found[user] == counts[user] for user in found):
            waiting = Counter({u: c for u, c in waiting.items() if u not in found})
            if not waiting:
                return time.monotonic()
        else:
            time.sleep(POLL_S / 5)
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
    return {u: decode_speed(tilings, fields, {})[tilings[0].id].seen for u, fields in zip(users, replies, strict=True)}


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

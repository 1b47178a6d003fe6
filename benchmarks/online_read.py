"""Reading all features of fraud from Redis, in process: one entity's request at a time, and a hundred in one call.

A request names a user and a merchant with a history of 45 days; each read is a round trip, the decoding of what came
back, and all features of the request. Requests are the world's next day, so users come as often as they pay.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.online import PLAN, make_world, online_stack, preload
from benchmarks.report import emit
from lamina.store.protocol import Snapshot
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore

BARS = {"p50_ms": "<= 0.5", "p99_ms": "<= 2", "batch_p99_ms": "<= 10"}
DAYS = 45
BATCH = 100
WARM_UP = 200


def main(
    quick: Annotated[bool, typer.Option(help="Fewer users and reads.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, reads, batches = (200, 2_000, 50) if quick else (1_000, 20_000, 500)
    world = make_world(users, DAYS)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), {"redis"}) as stack:
        url = stack.env["LAMINA_REDIS_URL"]
        preload(url, world, DAYS)
        store, reader = RedisStore(url), Reader(PLAN)
        requests: list[dict[str, Any]] = world.day(DAYS).to_pylist()

        def one(i: int) -> None:
            request = requests[i % len(requests)]
            reader.read(store, request, request["timestamp"])

        def many(i: int) -> None:
            chosen = [requests[(i * BATCH + j) % len(requests)] for j in range(BATCH)]
            found = store.read([key for request in chosen for key in reader.keys(request)])
            width = len(found.replies) // BATCH
            for j, request in enumerate(chosen):
                part = Snapshot(found.replies[j * width : (j + 1) * width], found.through_ms)
                reader.vector(part, request, request["timestamp"])

        single, batch = _times_ms(one, reads, WARM_UP), _times_ms(many, batches, WARM_UP // BATCH)
    figures: dict[str, float | int] = {
        **_percentiles("", single),
        **_percentiles("batch_", batch),
        "batch": BATCH,
        "features": len(PLAN.features.names),
        "reads": reads,
        "users": users,
    }
    if not emit("online_read", figures, BARS, json_file):
        raise typer.Exit(1)


def _times_ms(read: Callable[[int], None], n: int, warm_up: int) -> list[float]:
    for i in range(warm_up):
        read(i)
    found = []
    for i in range(n):
        began = time.perf_counter_ns()
        read(warm_up + i)
        found.append((time.perf_counter_ns() - began) / 1e6)
    return found


def _percentiles(prefix: str, times_ms: list[float]) -> dict[str, float]:
    return {f"{prefix}p{p}_ms": round(float(np.percentile(times_ms, p)), 3) for p in (50, 99)}


if __name__ == "__main__":
    typer.run(main)

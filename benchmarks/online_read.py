"""Reading all features of fraud from Redis, in process: one entity's request at a time, and a hundred in one call.

A request names a user and a merchant with a history of 45 days; each read is a round trip, the decoding of what came
back, and all features of the request. Requests are the world's next day, so users come as often as they pay.

`feast_*`, in the long form: Feast's online store on the same Redis, asked for the same users and merchants in the same
order once ours is done. It reads values that were finished before and are as old as their last writing, where ours
computes every window as of the request; the features that come from the request itself are not among them.
`over_feast` is how often our median goes into Feast's: above 1 ours is faster; `batch_over_feast` the same of a hundred
entities. `feast_different` counts values that came back otherwise than written.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.latency import percentiles, times_ms
from benchmarks.online import PLAN, make_world, online_stack, preload
from benchmarks.peers.feast_values import read_by_feast
from benchmarks.report import emit
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore

BARS = {"p50_ms": "<= 0.5", "p99_ms": "<= 2", "batch_p99_ms": "<= 10"}
PEER_BARS = {"feast_different": "== 0"}
DAYS = 45
BATCH = 100
WARM_UP = 200


def main(
    quick: Annotated[bool, typer.Option(help="Fewer users and reads.")] = False,
    peers: Annotated[bool | None, typer.Option(help="Feast beside; in the long form only.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, reads, batches = (200, 2_000, 50) if quick else (1_000, 20_000, 500)
    world = make_world(users, DAYS)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), {"redis"}) as stack:
        url = stack.env["LAMINA_REDIS_URL"]
        preload(url, world, DAYS)
        store, reader = RedisStore(url), Reader(PLAN)
        requests: list[dict[str, Any]] = world.transactions(DAYS).to_pylist()

        gc.freeze()  # as the server does once it has started

        def one(i: int) -> None:
            request = requests[i % len(requests)]
            reader.read(store, request, request["timestamp"])

        def many(i: int) -> None:
            chosen = [requests[(i * BATCH + j) % len(requests)] for j in range(BATCH)]
            reader.read_many(store, chosen, [request["timestamp"] for request in chosen])

        single, batch = times_ms(one, reads, WARM_UP), times_ms(many, batches, WARM_UP // BATCH)
        figures: dict[str, float | int] = {
            **percentiles("", single),
            **percentiles("batch_", batch),
            "batch": BATCH,
            "features": len(PLAN.features.names),
            "reads": reads,
            "users": users,
        }
        bars = BARS
        if not quick if peers is None else peers:
            sizes = {"reads": reads, "batches": batches, "batch": BATCH, "warm_up": WARM_UP}
            values = [reader.read(store, request, request["timestamp"]).values for request in requests]
            theirs = read_by_feast(PLAN, requests, values, url, Path(folder), **sizes)
            figures |= {f"feast_{name}": value for name, value in theirs.items()}
            figures["over_feast"] = round(theirs["p50_ms"] / figures["p50_ms"], 2)
            figures["batch_over_feast"] = round(theirs["batch_p50_ms"] / figures["batch_p50_ms"], 2)
            bars = BARS | PEER_BARS
    if not emit("online_read", figures, bars, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""One user's features by the number of the user's events, each in a second of its own, the last just now.

A new event is written before every read, as the sink does it, and the reader is a cold one: it knows nothing of the
reads before. `p50_ms_N`, `p99_ms_N`: from the question to all features, through the event loop's reader as in serving.
`write_ms_N`: median of the write before. `tiles_N`: tiles and sums of tiles that such a read decodes at most. `mib_N`:
what Redis holds of such a user. `differences` counts values that are not those of all tiles read one by one, from a
store that adds none up.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from redis import Redis

from benchmarks.latency import percentiles
from benchmarks.online import PLAN, make_world, online_stack
from benchmarks.report import emit
from benchmarks.tiles import speed_writes
from lamina.definitions.fraud import TRANSACTIONS, USER
from lamina.semantics.events import EventRow
from lamina.semantics.reference import Value, equal_numbers
from lamina.store.folded import Folder
from lamina.store.memory import MemoryStore
from lamina.store.protocol import TileWrite
from lamina.store.reader import FeatureVector, Reader
from lamina.store.redis import RedisStore
from lamina.store.redis_reader import AsyncRedisReader

EVENTS = (1, 100, 3_600, 20_000, 100_000)
MERCHANTS = 211
USERS_OF = 20_000
"""Few events are those of many users in turn, so that none has many more at the end."""
BATCH = 2_000  # as many as the sink moves at once
COMPARED_UP_TO, COMPARED = 20_000, 10
TIMEOUT_MS = 5_000
NIGHT_MS = 1_736_467_200_000  # 2025-01-10T00:00:00Z
BARS = {"p99_ms_20000": "<= 10", "differences": "== 0"}


class Measured(NamedTuple):
    """Of how many users; milliseconds of each read and write, tiles decoded at most, and values that were not as they
    should be.
    """

    users: int
    reads: list[float]
    writes: list[float]
    tiles: int
    differences: int


def main(
    quick: Annotated[bool, typer.Option(help="Fewer reads.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    reads = 200 if quick else 2_000
    template = make_world(1, 1).transactions(0).to_pylist()[0]
    figures: dict[str, float | int] = {}
    differences = 0
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), {"redis"}) as stack:
        url = stack.env["LAMINA_REDIS_URL"]
        with Redis.from_url(url) as client:
            for n in EVENTS:
                client.flushall()
                found = asyncio.run(_measure(url, template, n, reads))
                figures |= {f"{name}_{n}": value for name, value in percentiles("", found.reads).items()}
                figures[f"write_ms_{n}"] = percentiles("", found.writes)["p50_ms"]
                figures[f"tiles_{n}"] = found.tiles
                held = sum(int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter("user*", 1000))
                figures[f"mib_{n}"] = round(held / found.users / 2**20, 3)
                differences += found.differences
    figures |= {"reads": reads, "features": len(PLAN.features.names), "differences": differences}
    if not emit("busy_key", figures, BARS, json_file):
        raise typer.Exit(1)


async def _measure(url: str, template: EventRow, n: int, reads: int) -> Measured:
    store, plain = RedisStore(url, folder=Folder(PLAN.speed)), MemoryStore()
    users = max(min(USERS_OF // n, reads), 1)
    for user in range(users):
        for batch in _batches(_tiles(template, user, range(n - 1))):
            store.write_tiles(batch)
            if n <= COMPARED_UP_TO:
                plain.write_tiles(batch)
    found = Measured(users, [], [], 0, 0)
    gc.collect()
    gc.freeze()
    for i in range(reads):
        user, newest = i % users, n - 1 + i // users
        (tile,) = _tiles(template, user, [newest])
        began = time.perf_counter_ns()
        store.write_tiles([tile])
        found.writes.append((time.perf_counter_ns() - began) / 1e6)
        plain.write_tiles([tile])
        request = _event(template, user, newest + 1)
        reader, cold, at_ms = AsyncRedisReader(url, timeout_ms=TIMEOUT_MS), Reader(PLAN), int(str(request["timestamp"]))
        await reader.ping()  # a connection is open before the question comes
        began = time.perf_counter_ns()
        snapshot = await reader.read(cold.keys(request, at_ms))
        vector = cold.vector(snapshot, request, at_ms)
        found.reads.append((time.perf_counter_ns() - began) / 1e6)
        found = found._replace(tiles=max(found.tiles, len(snapshot.replies[0].speed)))
        if n <= COMPARED_UP_TO and not i % max(reads // COMPARED, 1):
            wanted = cold.read(plain, request, at_ms)
            found = found._replace(differences=found.differences + _different(wanted, vector))
        await reader.close()
    gc.unfreeze()
    return found


def _different(wanted: FeatureVector, found: FeatureVector) -> int:
    pairs = [(value, found.values[name]) for name, value in wanted.values.items()]
    return sum(not _same(*pair) for pair in pairs) + (wanted.seen != found.seen)


def _same(wanted: Value, found: Value) -> bool:
    if isinstance(wanted, float) and isinstance(found, float):
        return equal_numbers(found, wanted)
    return wanted == found


def _tiles(template: EventRow, user: int, places: Sequence[int]) -> list[TileWrite]:
    speed = [tile_spec for tile_spec in PLAN.speed if tile_spec.entity == USER]
    return speed_writes(speed, {TRANSACTIONS.name: [_event(template, user, i) for i in places]}, 0)


def _batches(writes: Sequence[TileWrite]) -> Iterator[Sequence[TileWrite]]:
    return (writes[i : i + BATCH] for i in range(0, len(writes), BATCH))


def _event(template: EventRow, user: int, i: int) -> EventRow:
    return {
        **template,
        "transaction_id": f"busy-{user}-{i}",
        "user_id": f"busy-{user}",
        "merchant_id": f"merchant-{i * 7 % MERCHANTS:07d}",
        "amount": round(10 + 7.3 * (i % 31), 2),
        "timestamp": NIGHT_MS + 1000 * i + i % 997,
    }


if __name__ == "__main__":
    typer.run(main)

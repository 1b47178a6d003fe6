"""Memory of Redis per user with all views of fraud, by the number of events that the user has in 90 days.

`bytes_N` is what Redis allocates for a user with N transactions, spread evenly: key, blobs of the batch layer and, for
the last of them, nothing else. `world_bytes` is the mean over users of the simulated world, who pay as often as people
do, with a day of speed tiles on top; `tb_100m_users` is that for a hundred million users.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from redis import Redis

from benchmarks.online import PLAN, make_world, online_stack, preload
from benchmarks.report import emit
from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.definitions.fraud import USER
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan
from lamina.store.protocol import batch_key, speed_key
from lamina.store.redis import RedisStore

EVENTS = (1, 10, 100, 1000)
DAYS = 90
USERS_EACH = 20
OWN = Plan(PLAN.features, PLAN.of_entity(USER))


def main(
    quick: Annotated[bool, typer.Option(help="Fewer users of the world.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure and print."""
    users = 50 if quick else 500
    world = make_world(users, DAYS)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), {"redis"}) as stack:
        url = stack.env["LAMINA_REDIS_URL"]
        client, store = Redis.from_url(url), RedisStore(url)
        batch_end_ms = preload(url, world, DAYS)
        today: list[EventRow] = world.transactions(DAYS).to_pylist()
        arrived = {"transactions": today, "fraud_labels": []}
        store.write_tiles(speed_writes(OWN.speed, arrived, batch_end_ms))
        history = [row for n in range(DAYS) for row in world.transactions(n).to_pylist()]
        names = sorted({row["user_id"] for row in (*history, *today)})
        held = [_bytes(client, name) for name in names]
        figures: dict[str, float | int] = {}
        for n in EVENTS:
            store.publish(batch_writes(OWN, {"transactions": _steady(today[0], n, batch_end_ms)}, batch_end_ms))
            found = [_bytes(client, f"steady-{n}-{user}") for user in range(USERS_EACH)]
            figures[f"bytes_{n}"] = round(float(np.mean(found)))
        client.close()
    figures |= {
        "world_users": len(names),
        "world_events_per_user": round(len(history) / len(names), 1),
        "world_bytes": round(float(np.mean(held))),
        "world_p99_bytes": round(float(np.percentile(held, 99))),
        "tb_100m_users": round(float(np.mean(held)) * 1e8 / 1e12, 2),
    }
    emit("store_memory", figures, {}, json_file)


def _steady(template: EventRow, n: int, batch_end_ms: int) -> list[EventRow]:
    """`n` transactions in the last `DAYS` days of each of some users, at as many merchants as fit."""
    step = DAYS * DAY_MS // (n + 1)
    return [
        {
            **template,
            "transaction_id": f"steady-{n}-{user}-{i}",
            "user_id": f"steady-{n}-{user}",
            "merchant_id": f"merchant-{(i * 7 + user) % 211:07d}",
            "amount": round(10 + 7.3 * (i % 31) + user, 2),
            "timestamp": batch_end_ms - (i + 1) * step,
        }
        for user in range(USERS_EACH)
        for i in range(n)
    ]


def _bytes(client: Redis, user: str) -> int:
    """What Redis allocates for both hashes of a user, all their fields counted."""
    speed = speed_key(USER.name, user)
    return sum(int(client.memory_usage(key, samples=0) or 0) for key in (speed, batch_key(speed)))


if __name__ == "__main__":
    typer.run(main)

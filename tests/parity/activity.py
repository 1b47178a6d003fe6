"""Generated user events with what goes wrong in practice: ties, late arrivals, duplicates, missing values."""

from __future__ import annotations

import random

from lamina.clock import DAY_MS
from tests.parity.generated import START_MS, Generated

MINUTE_MS = 60_000
BURSTS = (0, DAY_MS // 4, DAY_MS // 2, DAY_MS - 15 * MINUTE_MS)
"""Sessions begin at these times of day; the last ones go on at midnight."""


def generate(seed: int, *, n: int = 400, users: int = 5, days: int = 12) -> Generated:
    """`n` events of `users` users over `days` days from `START_MS`."""
    rng = random.Random(seed)
    events = [_event(rng, i, users, days) for i in range(n)]
    for i in range(0, n, 9):  # ties: the same user in the same millisecond
        other = events[(i + 1) % n]
        other["user_id"], other["timestamp"] = events[i]["user_id"], events[i]["timestamp"]
    events.sort(key=lambda e: int(str(e["timestamp"])))
    for _ in range(n // 20):  # late
        i = rng.randrange(n - 31)
        events.insert(i + rng.randrange(1, 30), events.pop(i))
    for _ in range(n // 15):  # duplicates
        i = rng.randrange(len(events))
        events.insert(rng.randrange(i, len(events)) + 1, dict(events[i]))
    return Generated([], [], events)


def _event(rng: random.Random, i: int, users: int, days: int) -> dict[str, object]:
    kind = rng.choice(["page_view"] * 5 + ["click", "cart", "purchase"])
    user = f"u{rng.randrange(users)}"
    bought = kind == "purchase"
    return {
        "event_id": f"e{i:05d}",
        "user_id": user,
        "event_type": kind,
        "item_id": f"i{rng.randrange(3)}",
        "session_id": f"s-{user}-{rng.randrange(9)}",
        "page": rng.choice(["item", "search"]),
        "purchase_id": f"p{i}" if bought else None,
        "purchase_amount": round(rng.lognormvariate(3, 1), 2) if bought else None,
        "timestamp": START_MS
        + rng.randrange(days) * DAY_MS
        + rng.choice(BURSTS)
        + rng.randrange(15) * MINUTE_MS
        + rng.randrange(3_000),
    }

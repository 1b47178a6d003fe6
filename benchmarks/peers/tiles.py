r"""The speed layer of fraud as one writes it by hand for a stream library: a function of a tile and an event.

It knows nothing of lamina, and so runs in any environment: standard library only. A tile is what is kept of a user's
transactions of one second; what goes out is the message that lamina's own job writes, so the two can be compared.

Left out: dead letters (what is no transaction fails), and duplicates whose time differs from the first one's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

RESOLUTION_MS = 1000
FIELD, PART, VALUE = "\x1f", "\x1e", "\x1d"

Tile = list[Any]
"""Events, total, last time, last located time, last latitude, last longitude, mean, squared deviations, maximum,
merchants, countries, ids: plain values, so that every library can keep them."""


def start_of(event: Mapping[str, Any]) -> int:
    """Start of the tile that an event belongs to, epoch ms."""
    at: int = event["timestamp"]
    return at - at % RESOLUTION_MS


def with_event(tile: Tile | None, event: Mapping[str, Any]) -> Tile | None:
    """`tile` with `event` in it, which it changes; None where the event is in it already.

    >>> pay = {"transaction_id": "t1", "amount": 2.0, "merchant_id": "m", "country": "FR", "timestamp": 7_000}
    >>> first = with_event(None, pay)
    >>> first[:2], with_event(first, pay)
    ([1, 2.0], None)
    """
    at, event_id, amount = event["timestamp"], event["transaction_id"], event["amount"]
    merchant, country = _hash(event["merchant_id"]), _hash(event["country"])
    if tile is None:
        tile = [0, 0.0, at, None, None, None, 0.0, 0.0, amount, [], [], []]
    n, total, last, last_located, latitude, longitude, mean, squares, largest, merchants, countries, ids = tile
    if event_id in ids:
        return None
    n += 1
    step = amount - mean
    mean += step / n
    squares += step * (amount - mean)
    location = event.get("location")
    if location and location.get("lat") is not None:
        order = f"{at:013d}{PART}{event_id}{PART}"
        last_located = at if last_located is None else max(last_located, at)
        latitude = max(latitude or "", f"{order}{location['lat']}")
        if location.get("lon") is not None:
            longitude = max(longitude or "", f"{order}{location['lon']}")
    merchants.append(merchant)
    countries.append(country)
    ids.append(event_id)
    tile[:9] = n, total + amount, max(last, at), last_located, latitude, longitude, mean, squares, max(largest, amount)
    return tile


def key_of(tile_spec: str, user: str, start_ms: int) -> str:
    """Message key of a tile."""
    return f"user:{user}\t{tile_spec}/{start_ms}"


def payload_of(tile: Tile) -> str:
    """Message of a tile: its event count, its states, its values, in the order of lamina's tile spec."""
    n, total, last, last_located, latitude, longitude, _, squares, largest, merchants, countries, _ = tile
    states = (n, n, total, n, last, last_located, latitude, longitude, squares, largest)
    return FIELD.join(
        (*("" if s is None else str(s) for s in states), VALUE.join(merchants), VALUE.join(countries)),
    )


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]

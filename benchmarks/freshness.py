"""Freshness: from the time of an event to the moment all of its tiles can be read in Redis, at 2,000 events a second.

The load is an open loop: an event is due whether or not the one before has arrived, and its age counts from when it was
due. One event in twenty belongs to a user of its own, whose hash is watched.
The short form is one of 1,000 a second.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from redis import Redis

from benchmarks.report import emit
from benchmarks.stream import TILES_PER_EVENT, producer, start_stream, stream_stack
from lamina.definitions.fraud import TRANSACTIONS
from lamina.settings import Settings

RATE = 2000
QUICK_RATE = 1000
WATCHED_EVERY = 20
WARM_UP_S = 60  # until the JVM has compiled what it runs
QUICK_WARM_UP_S = 5
BARS = {"unseen": "== 0"}
WARM_BARS = {"p50_ms": "<= 250", "p99_ms": "<= 1000"}
GIVE_UP_S = 30.0
POLL_S = 0.002


def main(
    quick: Annotated[bool, typer.Option(help="5 seconds instead of 60, after a shorter warm-up.")] = False,
    rate: Annotated[int | None, typer.Option(help="Events a second, instead of those of the form.")] = None,
    backend: Annotated[str, typer.Option(help="Flink's state backend.")] = "hashmap",
    mini_batch_ms: Annotated[int, typer.Option(help="Flink's mini-batches.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    warm_up, seconds, usual = (QUICK_WARM_UP_S, 5, QUICK_RATE) if quick else (WARM_UP_S, 60, RATE)
    rate = rate or usual
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, stream_stack(Path(folder)) as (stack, settings):
        start_stream(stack, settings, "--state-backend", backend, "--mini-batch-ms", str(mini_batch_ms))
        _measure(settings, rate, warm_up, "w")
        ages, late_s, watched = _measure(settings, rate, seconds, "m")
    figures: dict[str, float | int | str] = {
        **{f"p{name}_ms": round(float(np.percentile(ages, p)), 1) for name, p in (("50", 50), ("95", 95), ("99", 99))},
        "max_ms": round(max(ages), 1),
        "rate": rate,
        "watched": watched,
        "unseen": watched - len(ages),
        "loader_late_ms": round(1000 * late_s, 1),
        "state_backend": backend,
    }
    # A short form ends before the JVM has compiled what it runs.
    if not emit("freshness", figures, BARS if quick else WARM_BARS | BARS, json_file):
        raise typer.Exit(1)


def _measure(settings: Settings, rate: int, seconds: int, prefix: str) -> tuple[list[float], float, int]:
    """Ages in milliseconds, the longest that the loader was behind in seconds, and how many events were watched."""
    due: dict[str, float] = {}
    ages: list[float] = []
    sent = threading.Event()
    watcher = threading.Thread(target=_watch, args=(settings, due, ages, sent))
    watcher.start()
    late_s = _load(settings, rate, seconds, prefix, due)
    sent.set()
    watcher.join()
    return ages, late_s, rate * seconds // WATCHED_EVERY


def _load(settings: Settings, rate: int, seconds: int, prefix: str, due: dict[str, float]) -> float:
    client = producer(settings, linger_ms=2)
    begin, late = time.time() + 0.1, 0.0
    for i in range(rate * seconds):
        at = begin + i / rate
        if (wait := at - time.time()) > 0:
            time.sleep(wait)
        else:
            late = max(late, -wait)
        watched = i % WATCHED_EVERY == 0
        user = f"{prefix}{i}" if watched else f"u{i % 5003}"
        if watched:
            due[user] = at
        client.produce(
            settings.topic_prefix + TRANSACTIONS.topic, _event(f"{prefix}{i}", user, int(at * 1000)), user.encode()
        )
        client.poll(0)
    client.flush(30)
    return late


def _event(event_id: str, user: str, at_ms: int) -> bytes:
    return orjson.dumps(
        {
            "transaction_id": event_id,
            "user_id": user,
            "card_token": f"tok_{user}",
            "amount": 12.5,
            "currency": "EUR",
            "merchant_id": f"m{at_ms % 997}",
            "merchant_category": "grocery",
            "country": "FR",
            "user_country": "FR",
            "transaction_type": "online",
            "device_type": "web",
            "location": {"lat": 48.85, "lon": 2.35},
            "timestamp": at_ms,
        }
    )


def _watch(settings: Settings, due: dict[str, float], ages: list[float], sent: threading.Event) -> None:
    """Note the age of each watched event when all of its tiles are there; give up a while after the last was sent."""
    client = Redis.from_url(settings.redis_url.get_secret_value())
    give_up = None
    while not sent.is_set() or due:
        if sent.is_set():
            give_up = give_up or time.time() + GIVE_UP_S
            if time.time() > give_up:
                break
        users = list(due)
        with client.pipeline(transaction=False) as pipe:
            for user in users:
                pipe.hlen(f"user:{user}")
            found = pipe.execute()
        now = time.time()
        for user, fields in zip(users, found, strict=True):
            if fields == TILES_PER_EVENT:
                ages.append(1000 * (now - due.pop(user)))
        time.sleep(POLL_S)
    client.close()


if __name__ == "__main__":
    typer.run(main)

"""Decisions that clients received, looked for on Kafka after the API and the broker were killed under load.

`answered` counts answers of 200; `missing` those of them whose decision or transaction never came to its topic.
`kills` are `kill -9` of the API and of the broker in turn, `outages` times for which the broker stood still. `refused`
counts requests that got no decision, most of them while the API was coming back; `repeated` events that are on a topic
more than once, which readers drop by their id.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import orjson
import typer

from benchmarks.api import THREE_VERSIONS, serving_api
from benchmarks.messages import consume
from benchmarks.report import Figure, emit
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.local.stack import Stack
from lamina.settings import Settings

RATE = 100
LONGEST_PAUSE_S = 4.0
ARRIVES_WITHIN_S = 60.0
BARS = {"missing": "== 0", "answered": ">= 500", "kills": ">= 1", "outages": ">= 1"}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    seed: Annotated[int, typer.Option(help="Of the schedule.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds, outage_s, pause_s = (20, 20, 2.0, 2.0) if quick else (200, 180, 10.0, LONGEST_PAUSE_S)
    with serving_api(users, THREE_VERSIONS) as api:
        done: Counter[str] = Counter()
        over = threading.Event()
        shooter = threading.Thread(target=_shoot, args=(api.stack, random.Random(seed), outage_s, pause_s, done, over))
        shooter.start()
        try:
            loaded = api.k6_samples(__file__, {"RATE": rate, "SECONDS": seconds}, "answered", tag="id")
        finally:
            over.set()
            shooter.join()
        requests, answered = loaded.metrics.count("http_reqs"), set(loaded.rows["id"])
        found = _arrived(api.stack, answered)
    figures: dict[str, Figure] = {
        "requests": requests,
        "answered": len(answered),
        "missing": sum(len(answered - set(ids)) for ids in found.values()),
        "repeated": sum(ids.total() - len(ids) for ids in found.values()),
        "refused": requests - len(answered),
        "kills": done["api"] + done["kafka"],
        "kills of the API": done["api"],
        "kills of Kafka": done["kafka"],
        "outages": done["outage"],
        "rate": rate,
        "seed": seed,
    }
    if not emit("answered_not_lost", figures, BARS, json_file):
        raise typer.Exit(1)


def _shoot(
    stack: Stack, rng: random.Random, outage_s: float, pause_s: float, done: Counter[str], over: threading.Event
) -> None:
    """An outage of the broker, then the API and the broker killed, over and over, with pauses of random length."""
    while True:
        for victim in ("outage", "api", "kafka"):
            if over.wait(rng.uniform(1, pause_s)):
                return
            if victim == "outage":
                stack.stop_service("kafka")
                over.wait(outage_s)
                stack.start("kafka")
            else:
                killed = stack.pids()[victim]
                os.kill(killed, signal.SIGKILL)
                while stack.pids().get(victim, killed) == killed:  # the supervisor starts it again
                    time.sleep(0.1)
                stack.start(victim)  # waits until it is ready
            done[victim] += 1


def _arrived(stack: Stack, answered: set[str]) -> dict[str, Counter[str]]:
    """How often each transaction is on each topic, once all that were answered are, or they have had their time."""
    settings = Settings(kafka_bootstrap=stack.env["LAMINA_KAFKA_BOOTSTRAP"])
    deadline = time.monotonic() + ARRIVES_WITHIN_S
    while True:
        found = {
            topic: Counter(str(orjson.loads(value)[name]) for _, value in consume(settings, topic))
            for topic, name in ((TRANSACTIONS, "transaction_id"), (PREDICTIONS, "event_id"))
        }
        if all(answered <= set(ids) for ids in found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(1)


if __name__ == "__main__":
    typer.run(main)

"""The champion moves between three versions while 500 decisions a second are made, on real Kafka, Redis and MLflow.

What each version says to each request is asked before the load. `failed` counts answers other than 200; `mixed` counts
answers whose score is not that of the version they name; `fell_back` counts those made from the rules alone, because
the machine took longer than the deadline: only the `scored` ones can show a mixture. `took_over_s` is the longest time
from the move of an alias until the API named the new version, polls of half a second among it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api import POLL_OFTEN, THREE_VERSIONS, Api, Metrics, serving_api
from benchmarks.report import emit
from lamina.definitions.fraud import FEATURES
from lamina.registry.protocol import CHAMPION

RATE = 500
BODIES = 20
PAUSE_S = 0.5  # between a version in service and the next move
TAKE_OVER_LIMIT_S = 30.0
BARS = {"failed": "== 0", "mixed": "== 0", "swaps": ">= 3", "scored": ">= 1000"}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds = (20, 8) if quick else (200, 60)
    with serving_api(users, THREE_VERSIONS, POLL_OFTEN) as api:
        found, took = swap_under_load(api, api.versions, rate, seconds)
    figures = {
        "requests": found.count("http_reqs"),
        "scored": found.count("answers") - found.count("fell_back"),
        "failed": found.count("failed"),
        "mixed": found.count("mixed"),
        "fell_back": found.count("fell_back"),
        "dropped": found.count("dropped_iterations"),
        "swaps": len(took),
        "took_over_s": round(max(took, default=0.0), 2),
        "p50_ms": found.ms("http_req_duration", "p(50)"),
        "p99_ms": found.ms("http_req_duration", "p(99)"),
        "max_ms": found.ms("http_req_duration", "max"),
        "rate": round(found.value("http_reqs", "rate"), 1),
    }
    if not emit("hot_swap", figures, BARS, json_file):
        raise typer.Exit(1)


def swap_under_load(api: Api, versions: Sequence[str], rate: int, seconds: int) -> tuple[Metrics, list[float]]:
    """Move the champion between `versions`, which are registered, while `rate` decisions a second are made.

    Returns: k6's metrics, and how many seconds each took over.
    """
    asked = api.bodies[:BODIES]
    expected = api.folder / "expected.json"
    scores = {version: _scores(api, version, asked) for version in versions}
    expected.write_text(json.dumps({"asked": len(asked), "scores": scores}))
    took: list[float] = []
    over = threading.Event()
    mover = threading.Thread(target=_keep_moving, args=(api, versions, took, over))
    mover.start()
    try:
        return api.k6(__file__, {"EXPECTED": expected, "RATE": rate, "SECONDS": seconds}), took
    finally:
        over.set()
        mover.join()


def _scores(api: Api, version: str, asked: Sequence[bytes]) -> list[float]:
    """What `version` says to each of `asked`."""
    _move(api, version)
    return [float(api.ask("/fraud/decisions", body)["score"]) for body in asked]


def _move(api: Api, version: str) -> float:
    """Seconds until the API serves `version`."""
    began = time.monotonic()
    api.registry.set_alias(FEATURES.system, CHAMPION, version)
    while api.ask("/health/ready")["dependencies"]["model of fraud"]["version"] != version:
        if time.monotonic() - began > TAKE_OVER_LIMIT_S:
            sys.exit(f"version {version} was not in service {TAKE_OVER_LIMIT_S:.0f} s after its promotion")
        time.sleep(0.05)
    return time.monotonic() - began


def _keep_moving(api: Api, versions: Sequence[str], took: list[float], over: threading.Event) -> None:
    for version in cycle(versions):
        if over.wait(PAUSE_S):
            return
        took.append(_move(api, version))


if __name__ == "__main__":
    typer.run(main)

"""The champion moves between three versions while 500 decisions a second are made, on real Kafka, Redis and MLflow.

What each version says to each request is asked before the load. `failed` counts answers other than 200; `mixed` counts
answers whose score is not that of the version they name; `fell_back` counts those made from the rules alone, because
the machine took longer than the deadline: only the `scored` ones can show a mixture. `took_over_s` is the longest time
from the move of an alias until the API named the new version, polls of half a second among it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import date
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.api import await_model, run_k6
from benchmarks.decision_latency import HISTORY_DAYS, SERVICES
from benchmarks.online import make_world, online_stack, preload
from benchmarks.report import emit
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER, TrainingRun
from lamina.worlds.wire import event_bytes
from tests.small_model import train_small_model

RATE = 500
VERSIONS = 3
BODIES = 20
PAUSE_S = 0.5  # between a version in service and the next move
POLL_S = 0.5
TAKE_OVER_LIMIT_S = 30.0
BARS = {"failed": "== 0", "mixed": "== 0", "swaps": ">= 3", "scored": ">= 1000"}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds = (20, 10) if quick else (200, 60)
    polls = {"LAMINA_CHAMPION_POLL_S": str(POLL_S)}
    with (
        tempfile.TemporaryDirectory(prefix="lamina-bench-") as name,
        online_stack(Path(name), SERVICES, polls) as stack,
    ):
        folder = Path(name)
        world = make_world(users, HISTORY_DAYS)
        preload(stack.env["LAMINA_REDIS_URL"], world, HISTORY_DAYS)
        registry = MlflowRegistry(stack.env["LAMINA_MLFLOW_URI"])
        versions = register_versions(registry, folder)
        stack.start("api")
        await_model(stack)
        asked = [body.decode() for body in islice(event_bytes(world.day(HISTORY_DAYS)), BODIES)]
        scores = {version: _scores(stack, registry, version, asked) for version in versions}
        expected = folder / "expected.json"
        expected.write_text(json.dumps({"bodies": asked, "scores": scores}))
        took: list[float] = []
        over = threading.Event()
        mover = threading.Thread(target=_keep_moving, args=(stack, registry, versions, took, over))
        mover.start()
        try:
            found = _load(stack, expected, rate, seconds)
        finally:
            over.set()
            mover.join()
    figures = {
        "requests": _count(found, "http_reqs"),
        "scored": _count(found, "answers") - _count(found, "fell_back"),
        "failed": _count(found, "failed"),
        "mixed": _count(found, "mixed"),
        "fell_back": _count(found, "fell_back"),
        "dropped": _count(found, "dropped_iterations"),
        "swaps": len(took),
        "took_over_s": round(max(took, default=0.0), 2),
        "p50_ms": round(found["http_req_duration"]["values"]["p(50)"], 2),
        "p99_ms": round(found["http_req_duration"]["values"]["p(99)"], 2),
        "max_ms": round(found["http_req_duration"]["values"]["max"], 2),
        "rate": round(found["http_reqs"]["values"]["rate"], 1),
    }
    if not emit("hot_swap", figures, BARS, json_file):
        raise typer.Exit(1)


def register_versions(registry: MlflowRegistry, folder: Path) -> list[str]:
    """Versions that differ in their trees; the last is the champion."""
    versions = []
    for seed in range(VERSIONS):
        train_small_model(folder / str(seed) / MODEL_FOLDER, trees=40 + 20 * seed, seed=seed)
        run = registry.record(TrainingRun(FEATURES.system, date(2025, 1, 1 + seed), folder / str(seed)))
        versions.append(registry.register(FEATURES.system, run, {}).version)
    registry.set_alias(FEATURES.system, CHAMPION, versions[-1])
    return versions


def _scores(stack: Stack, registry: MlflowRegistry, version: str, asked: list[str]) -> list[float]:
    """What `version` says to each of `asked`."""
    _move(stack, registry, version)
    return [float(_answer(f"{stack.addresses['api']}/fraud/decisions", body)["score"]) for body in asked]


def _move(stack: Stack, registry: MlflowRegistry, version: str) -> float:
    """Seconds until the API serves `version`."""
    began = time.monotonic()
    registry.set_alias(FEATURES.system, CHAMPION, version)
    while _answer(f"{stack.addresses['api']}/health/ready")["dependencies"]["model"]["version"] != version:
        if time.monotonic() - began > TAKE_OVER_LIMIT_S:
            sys.exit(f"version {version} was not in service {TAKE_OVER_LIMIT_S:.0f} s after its promotion")
        time.sleep(0.05)
    return time.monotonic() - began


def _keep_moving(
    stack: Stack, registry: MlflowRegistry, versions: list[str], took: list[float], over: threading.Event
) -> None:
    for version in cycle(versions):
        if over.wait(PAUSE_S):
            return
        took.append(_move(stack, registry, version))


def _answer(url: str, body: str | None = None) -> dict[str, Any]:
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _load(stack: Stack, expected: Path, rate: int, seconds: int) -> dict[str, Any]:
    """k6's metrics of `seconds` at `rate` a second."""
    variables = {"EXPECTED": str(expected), "RATE": str(rate), "SECONDS": str(seconds)}
    return run_k6(Path(__file__).with_suffix(".js"), stack, expected.parent, variables)


def _count(found: dict[str, Any], name: str) -> int:
    return int(found[name]["values"]["count"]) if name in found else 0


if __name__ == "__main__":
    typer.run(main)

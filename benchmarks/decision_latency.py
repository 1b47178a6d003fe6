"""Latency of `POST /fraud/decisions` under an open loop of 200 transactions a second, on real Kafka, Redis and MLflow.

The figures are what a client waits from the moment a request was due. `errors` counts answers other than 200 and
decisions that were not made by the model; `dropped` counts requests that k6 could not start when they were due.
`cpu_ms` is the API's processor time a request: beside other work on the machine it still tells what a decision costs.
"""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from benchmarks.api import await_model, run_k6
from benchmarks.online import make_world, online_stack, preload
from benchmarks.report import emit
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER, TrainingRun
from lamina.worlds.wire import event_bytes
from tests.small_model import train_small_model

RATE = 200
SERVICES = ("kafka", "redis", "mlflow")
WARM_UP_S = 5
HISTORY_DAYS = 45  # 30 days of windows, and as many for a merchant's, seven days back
TREES = 200
BARS = {
    "p50_ms": "<= 25",
    "p95_ms": "<= 45",
    "p99_ms": "<= 65",
    "p999_ms": "<= 100",
    "errors": "== 0",
    "dropped": "== 0",
}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds = (40, 12) if quick else (400, 60)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), SERVICES) as stack:
        world = make_world(users, HISTORY_DAYS)
        bodies = Path(folder) / "bodies.jsonl"
        preload(stack.env["LAMINA_REDIS_URL"], world, HISTORY_DAYS)
        bodies.write_bytes(b"\n".join(event_bytes(world.day(HISTORY_DAYS))))
        _register(stack, Path(folder))
        stack.start("api")
        await_model(stack)
        _load(stack, bodies, rate, WARM_UP_S, first=0)
        before_s = _cpu_s(stack)
        found = _load(stack, bodies, rate, seconds, first=rate * WARM_UP_S)
        cpu_s = _cpu_s(stack) - before_s
        fallbacks = _fallbacks(stack)
    trend = found["iteration_duration"]["values"]
    requests, checks = found["http_reqs"]["values"], found["checks"]["values"]
    figures = {
        "p50_ms": round(trend["p(50)"], 2),
        "p95_ms": round(trend["p(95)"], 2),
        "p99_ms": round(trend["p(99)"], 2),
        "p999_ms": round(trend["p(99.9)"], 2),
        "max_ms": round(trend["max"], 2),
        "errors": checks["fails"],
        "dropped": found.get("dropped_iterations", {"values": {"count": 0}})["values"]["count"],
        "rate": round(requests["rate"], 1),
        "requests": requests["count"],
        "fallbacks": fallbacks,
        "cpu_ms": round(cpu_s * 1000 / requests["count"], 2),
    }
    if not emit("decision_latency", figures, BARS, json_file):
        raise typer.Exit(1)


def _register(stack: Stack, folder: Path) -> None:
    """Train a model, register it, and make it the champion."""
    registry = MlflowRegistry(stack.env["LAMINA_MLFLOW_URI"])
    train_small_model(folder / "run" / MODEL_FOLDER, trees=TREES)
    run = registry.record(TrainingRun(FEATURES.system, date(2025, 1, 1), folder / "run"))
    version = registry.register(FEATURES.system, run, {}).version
    registry.set_alias(FEATURES.system, CHAMPION, version)


def _cpu_s(stack: Stack) -> float:
    """Processor time that the API has used so far, in seconds."""
    pid = next(state.pids[0] for state in stack.status() if state.name == "api")
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _fallbacks(stack: Stack) -> str:
    """How many decisions, warm-up included, fell back for which reason."""
    with urllib.request.urlopen(f"{stack.addresses['api']}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = [line.removeprefix("fallbacks_total") for line in lines if line.startswith("fallbacks_total{")]
    return ", ".join(found) or "none"


def _load(stack: Stack, bodies: Path, rate: int, seconds: int, *, first: int) -> dict[str, Any]:
    """k6's metrics of `seconds` at `rate` a second, the bodies from number `first` on."""
    variables = {"BODIES": str(bodies), "RATE": str(rate), "SECONDS": str(seconds), "FIRST": str(first)}
    return run_k6(Path(__file__).with_suffix(".js"), stack, bodies.parent, variables)


if __name__ == "__main__":
    typer.run(main)

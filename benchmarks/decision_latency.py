"""Latency of `POST /fraud/decisions` under an open loop of transactions, on real Kafka, Redis and MLflow.

The figures are what a client waits from the moment a request was due. Those without a rate in their names are of 200 a
second, the only rate of the short form. `errors` counts answers other than 200 and decisions that were not made by the
model; `dropped` counts requests that k6 could not start when they were due. `cpu_ms` is the API's processor time a
request: beside other work on the machine it still tells what a decision costs.

`*_at_N`, in the long form: the same at N a second. `errors_at_N` counts answers other than 200, early 503s among them,
`fallback_share_at_N` is the share of the answers that were not made by the model.
"""

from __future__ import annotations

import tempfile
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from benchmarks.api import await_model, run_k6
from benchmarks.online import make_world, online_stack, preload
from benchmarks.report import Figure, emit
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
RATES = (200, 500, 1000, 2000)
BARS_OF_RATES = {
    "p50_ms_at_1000": "<= 5",
    "p95_ms_at_1000": "<= 15",
    "p99_ms_at_1000": "<= 25",
    "p999_ms_at_1000": "<= 60",
    "errors_at_1000": "== 0",
    "dropped_at_1000": "== 0",
    "fallback_share_at_1000": "<= 0.001",
}
REST_S = 2.0  # between two rates: what one left in queues is no business of the next


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int | None, typer.Option(help="Transactions a second, instead of those of the form.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds, rates = (40, 12, (RATE,)) if quick else (400, 40, RATES)
    rates = rates if rate is None else (rate,)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder, online_stack(Path(folder), SERVICES) as stack:
        world = make_world(users, HISTORY_DAYS)
        bodies = Path(folder) / "bodies.jsonl"
        preload(stack.env["LAMINA_REDIS_URL"], world, HISTORY_DAYS)
        bodies.write_bytes(b"\n".join(event_bytes(world.day(HISTORY_DAYS))))
        train_small_model(Path(folder) / "run" / MODEL_FOLDER, trees=TREES)
        register(stack, Path(folder) / "run")
        stack.start("api")
        await_model(stack)
        found: dict[int, dict[str, Figure]] = {}
        first = 0
        for each in rates:
            _load(stack, bodies, each, WARM_UP_S, first=first)
            time.sleep(REST_S)
            first += each * WARM_UP_S
            found[each] = _measured(stack, bodies, each, seconds, first=first)
            first += each * seconds
            time.sleep(REST_S)
        fallbacks = _fallbacks(stack)
    figures = dict(found[rates[0]])
    del figures["fallback_share"]
    figures["fallbacks"] = fallbacks
    bars = BARS if rates[0] == RATE else {}
    if len(rates) > 1:
        for each, of_rate in found.items():
            figures |= {f"{name}_at_{each}": value for name, value in of_rate.items() if name != "errors"}
            figures[f"errors_at_{each}"] = of_rate["not_200"]
        bars = bars | BARS_OF_RATES
    figures = {name: value for name, value in figures.items() if not name.startswith(("not_200", "rate_at"))}
    if not emit("decision_latency", figures, bars, json_file):
        raise typer.Exit(1)


def _measured(stack: Stack, bodies: Path, rate: int, seconds: int, *, first: int) -> dict[str, Figure]:
    """What a load of `rate` a second saw, and what it cost the API."""
    before_s = _cpu_s(stack)
    found = _load(stack, bodies, rate, seconds, first=first)
    cpu_s = _cpu_s(stack) - before_s
    trend = found["iteration_duration"]["values"]
    requests, wrong = found["http_reqs"]["values"], found["checks"]["values"]["fails"]
    not_200 = found["http_req_failed"]["values"]["passes"]
    return {
        "p50_ms": round(trend["p(50)"], 2),
        "p95_ms": round(trend["p(95)"], 2),
        "p99_ms": round(trend["p(99)"], 2),
        "p999_ms": round(trend["p(99.9)"], 2),
        "max_ms": round(trend["max"], 2),
        "errors": wrong,
        "not_200": not_200,
        "fallback_share": round((wrong - not_200) / requests["count"], 4),
        "dropped": found.get("dropped_iterations", {"values": {"count": 0}})["values"]["count"],
        "rate": round(requests["rate"], 1),
        "requests": requests["count"],
        "cpu_ms": round(cpu_s * 1000 / requests["count"], 2),
    }


def register(stack: Stack, run: Path) -> None:
    """Register the model in the folder `run`, and make it the champion."""
    registry = MlflowRegistry(stack.env["LAMINA_MLFLOW_URI"])
    recorded = registry.record(TrainingRun(FEATURES.system, date(2025, 1, 1), run))
    version = registry.register(FEATURES.system, recorded, {}).version
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

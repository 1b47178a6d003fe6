"""How many requests a second the API answers when it is asked without a pause, on real Kafka, Redis and MLflow.

`decisions_per_s`: the full route of a decision: rules, features, both models, reasons, the log of transaction and
decision. `empty_per_s`: `GET /health/live` of the same server, the framework's own way of answering a constant. Both
take turns in one run beside the load generator, and `full_over_empty` divides them; `*_cpu_us` is the API's processor
time a request. `predictions_per_s` asks `/predict` of the same model; `local_hits` and `redis_hits` are the shares that
a tier of its cache answered of what it was asked. `errors` counts our answers other than 200, `fallbacks` answers of
all servers that were not made by the model. The short form has no bars: beside other work it saturates soon.

`mlflow_*` and `bentoml_*`, in the long form: the same trees behind MLflow's scoring server and BentoML, one process
each as ours. They are sent the features, finished, where ours is sent a transaction; they decide and log nothing.
`*_different` counts scores other than ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer

from benchmarks.api import Api, serving_api
from benchmarks.peers.beside import peers
from benchmarks.progress import process_cpu_s
from benchmarks.report import Figure, emit

USERS = 32
WARM_UP_S = 3
CONTEXT = ("amount", "merchant_category", "country", "user_country", "transaction_type", "device_type", "location")
BARS = {"full_over_empty": ">= 0.5"}
COUNTS = {"errors": "== 0"}
PEER_BARS = {"mlflow_different": "== 0", "bentoml_different": "== 0"}


class Load:
    """Loads of one run, and what came of them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.requests: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self.errors: dict[str, int] = {}
        self.fallbacks = 0

    def run(
        self,
        name: str,
        url: str,
        pid: int,
        bodies: Sequence[bytes],
        seconds: int,
        *,
        expected: str,
        method: str = "POST",
    ) -> None:
        """Ask `url`, served by process `pid`, for so long; each answer holds `expected`. Runs of one name add up."""
        file = self._api.folder / f"{name}.jsonl"
        file.write_bytes(b"\n".join(bodies))
        variables = {
            "URL": url,
            "BODIES": file,
            "USERS": USERS,
            "SECONDS": seconds,
            "METHOD": method,
            "EXPECTED": expected,
        }
        before_s = process_cpu_s([pid])
        found = self._api.k6(__file__, variables)
        requests, failed = found.count("http_reqs"), found.count("http_req_failed", "passes")
        self.errors[name] = self.errors.get(name, 0) + failed
        self.fallbacks += found.count("checks", "fails") - failed
        self.requests[name] = self.requests.get(name, 0) + requests
        self.seconds[name] = self.seconds.get(name, 0.0) + requests / found.value("http_reqs", "rate")
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + process_cpu_s([pid]) - before_s

    def figures(self, name: str) -> dict[str, Figure]:
        """Requests a second, and processor time of one."""
        rate, cpu_us = self.requests[name] / self.seconds[name], self.cpu_s[name] * 1e6 / self.requests[name]
        return {f"{name}_per_s": round(rate, 1), f"{name}_cpu_us": round(cpu_us)}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users, without bars on rates.")] = False,
    beside: Annotated[
        bool | None, typer.Option("--peers/--no-peers", help="MLflow and BentoML beside; in the long form only.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds, turns = (40, 3, 1) if quick else (400, 10, 3)
    with serving_api(users) as api:
        load = Load(api)
        decided = '"fallback":"none"'
        load.run("warm_up", api.decisions, api.pid, api.bodies, WARM_UP_S, expected=decided)
        for _ in range(turns):
            load.run("empty", f"{api.url}/health/live", api.pid, (), seconds, expected="alive", method="GET")
            load.run("decisions", api.decisions, api.pid, api.bodies, seconds, expected=decided)
        questions = _questions(api.bodies)
        load.run("predictions", f"{api.url}/predict", api.pid, questions, seconds, expected='"error":null')
        figures: dict[str, Figure] = load.figures("decisions") | load.figures("empty")
        figures["full_over_empty"] = round(float(figures["decisions_per_s"]) / float(figures["empty_per_s"]), 3)
        figures |= load.figures("predictions") | _hits(api)
        bars = {} if quick else COUNTS | BARS
        if not quick if beside is None else beside:
            for peer in peers(api):
                server = peer.server
                load.run(server.name, server.url, server.pid, peer.bodies, seconds, expected="[")
                counts = {"different": peer.different, "errors": load.errors[server.name]}
                figures |= load.figures(server.name) | {f"{server.name}_{key}": n for key, n in counts.items()}
            bars = bars | PEER_BARS
        ours = sum(load.errors[part] for part in ("warm_up", "empty", "decisions", "predictions"))
        figures |= {"errors": ours, "fallbacks": load.fallbacks}
    if not emit("serving_throughput", figures, bars, json_file):
        raise typer.Exit(1)


def _questions(bodies: Sequence[bytes]) -> list[bytes]:
    """The same transactions as questions to `/predict`."""
    found = []
    for body in bodies:
        row = orjson.loads(body)
        context = {name: row[name] for name in CONTEXT if row[name] is not None}
        names = {"user_id": row["user_id"], "item_id": row["merchant_id"], "timestamp": row["timestamp"]}
        found.append(orjson.dumps({"model": "fraud", **names, "context": context}))
    return found


def _hits(api: Api) -> dict[str, Figure]:
    """The share of what each tier of the prediction cache was asked that it answered."""
    counted = {(s.labels["tier"], s.labels["outcome"]): s.value for s in api.metric("prediction_cache_total")}
    found: dict[str, Figure] = {}
    for tier in ("local", "redis"):
        hits, misses = counted.get((tier, "hit"), 0.0), counted.get((tier, "miss"), 0.0)
        found[f"{tier}_hits"] = round(hits / max(1.0, hits + misses), 3)
    return found


if __name__ == "__main__":
    typer.run(main)

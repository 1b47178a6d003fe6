"""Latency of `POST /fraud/decisions` under an open loop of transactions, on real Kafka, Redis and MLflow.

The figures are what a client waits from the moment a request was due. Those without a rate in their names are of 200 a
second, the only rate of the short form. `errors` counts answers other than 200 and decisions that were not made by the
model; `dropped` counts requests that k6 could not start when they were due. `cpu_ms` is the API's processor time a
request: beside other work on the machine it still tells what a decision costs.

`*_at_N`, in the long form: the same at N a second. `errors_at_N` counts answers other than 200, early 503s among them,
`fallback_share_at_N` is the share of the answers that were not made by the model. `*_at_200_mlflow` and
`*_at_200_bentoml`: the same trees behind MLflow's scoring server and BentoML, asked as often as ours at its lowest
rate. They are sent the features, finished, where ours is sent a transaction; they decide and log nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api import Api, Metrics, serving_api
from benchmarks.peers.beside import peers
from benchmarks.progress import process_cpu_s
from benchmarks.report import Figure, emit

RATE = 200
WARM_UP_S = 5
QUICK_WARM_UP_S = 3
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


@dataclass(frozen=True)
class Measured:
    """What a load saw, and the processor time that it cost the API, seconds."""

    metrics: Metrics
    cpu_s: float

    @property
    def requests(self) -> int:
        """Requests that were sent."""
        return self.metrics.count("http_reqs")

    @property
    def not_200(self) -> int:
        """Answers other than 200."""
        return self.metrics.count("http_req_failed", "passes")

    @property
    def errors(self) -> int:
        """Those, and decisions that were not made by the model."""
        return self.metrics.count("checks", "fails")

    def times(self) -> dict[str, Figure]:
        """Milliseconds by percentile."""
        statistics = {"p50": "p(50)", "p95": "p(95)", "p99": "p(99)", "p999": "p(99.9)", "max": "max"}
        return {f"{name}_ms": self.metrics.ms("iteration_duration", found) for name, found in statistics.items()}

    def counts(self) -> dict[str, Figure]:
        """What was sent, what could not be, and the API's milliseconds for each."""
        return {
            "dropped": self.metrics.count("dropped_iterations"),
            "requests": self.requests,
            "cpu_ms": round(self.cpu_s * 1000 / self.requests, 2),
        }

    def figures(self) -> dict[str, Figure]:
        """The figures without a rate in their names."""
        rate = round(self.metrics.value("http_reqs", "rate"), 1)
        return {**self.times(), "errors": self.errors, **self.counts(), "rate": rate}

    def figures_at(self, rate: int, whose: str = "") -> dict[str, Figure]:
        """The figures that name the rate, and the server where it is not ours."""
        fallback_share = round((self.errors - self.not_200) / self.requests, 4)
        found = {**self.times(), "errors": self.not_200, "fallback_share": fallback_share, **self.counts()}
        return {f"{name}_at_{rate}{whose}": value for name, value in found.items()}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    rate: Annotated[int | None, typer.Option(help="Transactions a second, instead of those of the form.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, warm_up, seconds, rates = (40, QUICK_WARM_UP_S, 8, (RATE,)) if quick else (400, WARM_UP_S, 40, RATES)
    rates = rates if rate is None else (rate,)
    found: dict[int, Measured] = {}
    with serving_api(users) as api:
        first = 0
        for each in rates:
            if first:
                time.sleep(REST_S)
            _load(api, each, warm_up, first=first)
            time.sleep(REST_S)
            first += each * warm_up
            found[each] = _load(api, each, seconds, first=first)
            first += each * seconds
        fell_back = api.metric("fallbacks_total")
        others = _peers(api, seconds) if len(rates) > 1 else {}
    figures = found[rates[0]].figures()
    figures["fallbacks"] = ", ".join(f"{s.labels['reason']} {s.value:.0f}" for s in fell_back) or "none"
    bars = BARS if rates[0] == RATE else {}
    if len(rates) > 1:
        for each, measured in found.items():
            figures |= measured.figures_at(each)
        figures |= others
        bars = bars | BARS_OF_RATES
    if not emit("decision_latency", figures, bars, json_file):
        raise typer.Exit(1)


def _load(api: Api, rate: int, seconds: int, *, first: int) -> Measured:
    """`seconds` at `rate` a second, the bodies from number `first` on."""
    variables = {"RATE": rate, "SECONDS": seconds, "FIRST": first, "EXPECTED": '"fallback":"none"'}
    return _measured(api, api.pid, variables)


def _peers(api: Api, seconds: int) -> dict[str, Figure]:
    """The figures of the other servers, each warmed up as ours."""
    found: dict[str, Figure] = {}
    for peer in peers(api):
        bodies = api.folder / "peer.jsonl"
        bodies.write_bytes(b"\n".join(peer.bodies))
        variables = {"RATE": RATE, "FIRST": 0, "URL": peer.server.url, "BODIES": bodies, "EXPECTED": "["}
        api.k6(__file__, {**variables, "SECONDS": WARM_UP_S})
        measured = _measured(api, peer.server.pid, {**variables, "SECONDS": seconds})
        found |= measured.figures_at(RATE, f"_{peer.server.name}")
    return found


def _measured(api: Api, pid: int, variables: Mapping[str, object]) -> Measured:
    """A load with these variables for the script, which process `pid` answers."""
    before_s = process_cpu_s([pid])
    return Measured(api.k6(__file__, variables), process_cpu_s([pid]) - before_s)


if __name__ == "__main__":
    typer.run(main)

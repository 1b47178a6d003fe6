"""The API for benchmarks: served with a history and models of its own on real services, asked singly or by k6."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.online import make_world, online_stack, preload
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import MODEL_FOLDER
from lamina.worlds.wire import event_bytes

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

SERVICES = ("kafka", "redis", "mlflow")
HISTORY_DAYS = 45  # 30 days of windows, and as many for a merchant's, seven days back
TREES = (200,)
THREE_VERSIONS = (40, 60, 80)
ALONE = {"LAMINA_SERVED_SYSTEMS": FEATURES.system}
"""Other systems have no models here, which an API that served them would not call well."""
POLL_OFTEN = {"LAMINA_CHAMPION_POLL_S": "0.5"}
READY_S = 60.0


@dataclass(frozen=True)
class Api:
    """A running API and what it serves.

    Args: folder: for files of the benchmark; versions: of the model, the last of which serves; models: their folders;
    bodies: the transactions of the day after the history, as clients send them.
    """

    stack: Stack
    folder: Path
    registry: MlflowRegistry
    versions: Sequence[str]
    models: Sequence[Path]
    bodies: Sequence[bytes]

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.stack.addresses["api"]

    @property
    def decisions(self) -> str:
        """Where it decides about transactions."""
        return f"{self.url}/fraud/decisions"

    @property
    def pid(self) -> int:
        """Its process."""
        return self.stack.pids()["api"]

    def ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        """What it answers to a GET of `path`, or to a POST of `body` there; an error's body too.

        A transaction is asked about as one of its own, however often it is.
        """
        if body is not None:
            body = body.replace(b'"transaction_id":"', b'"transaction_id":"%s-' % uuid.uuid4().hex.encode(), 1)
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found

    def metric(self, name: str) -> list[Sample]:
        """What it has counted under `name` so far, by labels."""
        from prometheus_client.parser import text_string_to_metric_families

        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples if sample.name == name]

    def k6(self, script: str, variables: Mapping[str, object], *options: str) -> Metrics:
        """k6's metrics of the script beside the module `script`.

        Args: variables: what the script reads beside `SUMMARY`, and `URL` and `BODIES` unless they are given.
        """
        summary = self.folder / "summary.json"
        given = {
            "URL": self.decisions,
            "BODIES": self.folder / "bodies.jsonl",
            "SUMMARY": summary,
            "RUN": uuid.uuid4().hex[:8],
            **variables,
        }
        named = [part for name, value in given.items() for part in ("-e", f"{name}={value}")]
        command = [str(Path(sys.executable).with_name("k6")), "run", "--quiet", "--no-usage-report", *named, *options]
        env = os.environ | {"K6_CSV_TIME_FORMAT": "unix_milli"}
        subprocess.run([*command, str(Path(script).with_suffix(".js"))], check=True, env=env)
        return Metrics(json.loads(summary.read_text()))

    def k6_samples(self, script: str, variables: Mapping[str, object], metric: str, tag: str) -> Samples:
        """The same with every sample of `metric`, which carries `tag`."""
        file = self.folder / "samples.csv"
        metrics = self.k6(script, variables, "--out", f"csv={file}", "--log-output", "none")  # what failed is a sample
        found = pd.read_csv(file, usecols=["metric_name", "timestamp", "metric_value", "extra_tags"], dtype=str)
        found = found[found["metric_name"] == metric]
        columns = {
            "at_s": found["timestamp"].astype(float) / 1000,
            "value": found["metric_value"].astype(float),
            tag: found["extra_tags"].str.extract(rf"{tag}=([^&]+)")[0],
        }
        return Samples(metrics, pd.DataFrame(columns))


@dataclass(frozen=True)
class Metrics:
    """k6's summary: each metric's values by the name of the statistic."""

    found: Mapping[str, Any]

    def value(self, metric: str, statistic: str) -> float:
        """One statistic of a metric.

        >>> Metrics({"http_reqs": {"values": {"rate": 2.5}}}).value("http_reqs", "rate")
        2.5
        """
        return float(self.found[metric]["values"][statistic])

    def count(self, metric: str, statistic: str = "count") -> int:
        """How often something happened; k6 leaves out what never did.

        >>> Metrics({}).count("dropped_iterations")
        0
        """
        return int(self.value(metric, statistic)) if metric in self.found else 0

    def ms(self, metric: str, statistic: str) -> float:
        """Milliseconds, to the hundredth."""
        return round(self.value(metric, statistic), 2)


@dataclass(frozen=True)
class Samples:
    """k6's summary, and single samples: columns `at_s` (epoch seconds), `value` and the tag."""

    metrics: Metrics
    rows: pd.DataFrame


@contextmanager
def serving_api(users: int, trees: Sequence[int] = TREES, settings: Mapping[str, str] | None = None) -> Iterator[Api]:
    """The API on Kafka, Redis and MLflow, ready to decide; everything is stopped and removed at the end.

    Args: users: with a history of `HISTORY_DAYS` days in Redis; trees: of each version of the model, as many as there
    are numbers; settings: variables to set, by their whole names.
    """
    with (
        tempfile.TemporaryDirectory(prefix="lamina-bench-") as name,
        online_stack(Path(name), {"redis"}, {**ALONE, **(settings or {})}) as stack,
        ThreadPoolExecutor(1) as beside,
    ):
        started = beside.submit(stack.start, *SERVICES, "api")
        folder, world = Path(name), make_world(users, HISTORY_DAYS)
        preload(stack.env["LAMINA_REDIS_URL"], world, HISTORY_DAYS)
        bodies = list(event_bytes(world.transactions(HISTORY_DAYS)))
        (folder / "bodies.jsonl").write_bytes(b"\n".join(bodies))
        registry = MlflowRegistry(stack.env["LAMINA_MLFLOW_URI"])
        runs = [folder / f"run-{number}" for number in range(len(trees))]
        models, versions = _models(registry, runs, trees, started)
        api = Api(stack, folder, registry, versions, models, bodies)
        _await_ready(api)
        yield api


def _models(
    registry: MlflowRegistry, runs: Sequence[Path], trees: Sequence[int], started: Future[Any]
) -> tuple[list[Path], list[str]]:
    """A model a run, trained while the services start, and their versions, the last of which is to serve."""
    # What trains is imported for longer than it trains.
    from benchmarks.small_model import promote, train_small_model

    models = [
        train_small_model(run / MODEL_FOLDER, trees=n, seed=i)
        for i, (run, n) in enumerate(zip(runs, trees, strict=True))
    ]
    assert registry.client  # imported as well
    started.result()
    return models, [promote(registry, run) for run in runs]


def _await_ready(api: Api) -> None:
    """Return once every dependency of the API does well, the newest champion among them; else end the benchmark."""
    deadline = time.monotonic() + READY_S
    while (ready := api.ask("/health/ready"))["status"] != "ready" or not _serves(ready, api.versions[-1]):
        if time.monotonic() > deadline:
            sys.exit(f"the API was not ready after {READY_S:.0f} s: {ready}")
        time.sleep(0.2)


def _serves(ready: Mapping[str, Any], version: str) -> bool:
    return bool(ready["dependencies"]["model of fraud"]["version"] == version)

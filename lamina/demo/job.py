"""The main job: history, features and a model by Airflow, a live day, the next morning, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import orjson
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, FRAUD_LABELS, MODEL_PREDICTIONS, TRANSACTIONS
from lamina.definitions import load
from lamina.demo import collect
from lamina.demo.freshness import FreshnessProbe
from lamina.demo.live import LiveResult, Post, in_order, post_all
from lamina.demo.stages import Stages
from lamina.demo.stories.fraud import DemoInput, History, LiveDay
from lamina.errors import LaminaError
from lamina.local.stack import Stack
from lamina.local.streams import start_streams
from lamina.orchestration.airflow_client import AirflowClient, TaskState
from lamina.reporting.results import DemoResults, Hop
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.worlds.wire import event_bytes

SYSTEM = "fraud"
DAILY = f"features_daily_{SYSTEM}"
TRAINING = f"ml_model_training_{SYSTEM}"
DAG_TIMEOUT_S = 1800.0
MODEL_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 180.0


class DemoError(LaminaError):
    """The main job came to something it cannot go on from."""


@dataclass
class MainJob:
    """One run on `source`. `rate_s` is how many requests a second the live day is posted with."""

    source: DemoInput
    stack: Stack
    console: Console
    rate_s: float
    stages: Stages = field(init=False)

    def __post_init__(self) -> None:
        self.stages = Stages(self.console, self.stack.layout.logs)
        self._began = datetime.now(tz=UTC)
        self._model: tuple[str, str] = ("", "")

    def run(self) -> DemoResults:
        """Everything, in order; the stack is left as it is at the end.

        Raises: StageFailed: with the stage's name, the end of the right log, and what to do.
        """
        settings = self._start()
        history = self._history(settings)
        before = self.source.live_day - timedelta(days=1)
        with ThreadPoolExecutor(1) as beside:
            # The stream has nothing to read before the live day.
            streams = beside.submit(self._streams, settings)
            self._day(settings, before, "features of the history")
            streams.result()
        self._train(settings)
        self._await_champion(settings)
        live, probe, day = self._live(settings)
        self._day(settings, self.source.live_day, "next morning: archive, features, parity")
        return self._results(settings, history, day, live, probe)

    def _start(self) -> Settings:
        with self.stages.run("start the stack") as stage:
            self.stack.start()
            settings = self.stack.settings()
            stage.figures["services"] = len(self.stack.services)
        return settings

    def _streams(self, settings: Settings) -> None:
        with self.stages.run("submit the stream job", log="flink-jobmanager"):
            start_streams(self.stack, settings, [SYSTEM])

    def _history(self, settings: Settings) -> History:
        with self.stages.run("history into the lake") as stage:
            history = self.source.import_history(settings.lake_url)
            stage.rows = history.transactions
            stage.figures |= {"labels": history.labels, "rejected": history.rejected}
        return history

    def _day(self, settings: Settings, day: date, name: str) -> None:
        with self.stages.run(f"{name} ({DAILY} for {day})", log="airflow-scheduler") as stage:
            stage.figures |= self._dag(settings, DAILY, day, {})

    def _train(self, settings: Settings) -> None:
        day = self.source.training_date
        with self.stages.run(f"train a model ({TRAINING} for {day})", log="airflow-scheduler") as stage:
            self._dag(settings, TRAINING, day, {"wait_for_features": False, "train_days": self.source.train_days})
            found = collect.detection(settings, SYSTEM, day, published=False)
            stage.rows = found.rows
            stage.figures |= {"auc": found.scores.auc or 0.0, "ap": found.scores.average_precision or 0.0}

    def _await_champion(self, settings: Settings) -> None:
        with self.stages.run("wait until the champion is served", log="api") as stage:
            stage.figures["version"] = self._wait_for_champion(settings)

    def _dag(self, settings: Settings, dag: str, day: date, conf: dict[str, Any]) -> dict[str, int | float | str]:
        def show(task: TaskState) -> None:
            if task.state in ("running", "success", "failed", "up_for_retry"):
                self.console.print(f"  [dim]{dag}: {task.task_id}: {task.state}[/]", highlight=False)

        with AirflowClient(settings.airflow_url, clock=self.source.clock) as airflow:
            tasks = airflow.run_day(dag, day, DAG_TIMEOUT_S, conf, rerun=True, on_change=show)
        return {"tasks": len(tasks)}

    def _wait_for_champion(self, settings: Settings) -> str:
        deadline = time.monotonic() + MODEL_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = httpx.get(f"{_api(settings)}/health/ready", timeout=10)
            version = answer.json()["dependencies"]["model"]["version"]
            if version:
                return str(version)
            time.sleep(1)
        raise DemoError(f"the API serves no model after {MODEL_TIMEOUT_S:.0f} s: see {self.stack.layout.log('api')}")

    def _live(self, settings: Settings) -> tuple[LiveResult, FreshnessProbe, LiveDay]:
        day = self.source.live()
        posts = list(in_order(_timed(day.transactions), _timed(day.labels)))
        with self.stages.run(f"live day {day.day} at {self.rate_s:g} requests/s", log="api") as stage:
            probe = FreshnessProbe(make_plan(load(SYSTEM)), settings.redis_url.get_secret_value())
            result = self._post(settings, posts, probe)
            if result.failed:
                raise DemoError(f"{sum(result.failed.values())} requests failed: {dict(result.failed)}")
            stage.rows = result.answered
            client = collect.percentiles("", result.latency_ms)
            stage.figures |= {"labels": result.labels, "p50 ms": client.p50_ms, "p99 ms": client.p99_ms}
        with self.stages.run("everything on Kafka", log="api") as stage:
            stage.figures |= self._wait_for_kafka(settings, result)
        return result, probe, day

    def _post(self, settings: Settings, posts: list[Post], probe: FreshnessProbe) -> LiveResult:
        async def watch(post: Post, sent: float) -> None:
            await probe.watch(orjson.loads(post.body), sent)

        async def run(advance: Any) -> LiveResult:
            try:
                return await post_all(_api(settings), posts, self.rate_s, advance, watch)
            finally:
                await probe.close()

        with self._progress(len(posts)) as advance:
            return asyncio.run(run(advance))

    @contextmanager
    def _progress(self, total: int) -> Iterator[Any]:
        with Progress(console=self.console, transient=True) as progress:
            task = progress.add_task("posting", total=total)
            yield lambda: progress.advance(task)

    def _wait_for_kafka(self, settings: Settings, live: LiveResult) -> dict[str, int]:
        """The API answers before its producer has flushed; returns what is on each topic once all of it is there."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            found = collect.on_kafka(settings)
            if found[TRANSACTIONS] >= live.answered and found[MODEL_PREDICTIONS] >= live.answered:
                return found
            if time.monotonic() > deadline:
                raise DemoError(f"{live.answered:,} decisions were answered, but Kafka holds {found}")
            time.sleep(1)

    def _results(
        self, settings: Settings, history: History, day: LiveDay, live: LiveResult, probe: FreshnessProbe
    ) -> DemoResults:
        with self.stages.run("gather the results"):
            logged = collect.archived(
                settings.lake_url, MODEL_PREDICTIONS, day.day, "transaction_id", "stage_ms", "latency_ms", "score"
            )
            hops = _hops(collect.on_kafka(settings), settings, history, day, live)
            training = self.source.training_date
            parity = collect.parity(settings.lake_url, SYSTEM, day.day)
            detection = collect.detection(settings, SYSTEM, training, published=self.source.is_published)
            model = collect.model(settings, SYSTEM, training)
        return DemoResults(
            input_name=self.source.name,
            system=SYSTEM,
            started_at=self._began,
            seconds=(datetime.now(tz=UTC) - self._began).total_seconds(),
            stages=self.stages.done,
            hops=hops,
            detection=detection,
            decisions=collect.decisions(live.decisions),
            latency=collect.latency(live, logged, self.rate_s),
            freshness=collect.freshness(probe.ms),
            parity=parity,
            model=model,
            environment=collect.environment(),
            remarks=_remarks(live, day, probe),
        )


def _api(settings: Settings) -> str:
    return f"http://{settings.api_host}:{settings.api_port}"


def _timed(table: pa.Table) -> list[tuple[int, bytes]]:
    return list(zip(table["timestamp"].to_pylist(), event_bytes(table), strict=True))


def _hops(kafka: dict[str, int], settings: Settings, history: History, day: LiveDay, live: LiveResult) -> list[Hop]:
    def rows(topic: str) -> int:
        return len(collect.archived(settings.lake_url, topic, day.day, "timestamp"))

    posted, kept = day.transactions.num_rows, len(live.decisions)
    return [
        Hop(path="history", name="in the file", rows=history.transactions + history.rejected),
        Hop(
            path="history",
            name="in the lake",
            expected=history.transactions + history.rejected,
            rows=history.transactions,
            aside=history.rejected,
        ),
        Hop(path="transactions", name="of the live day", rows=posted),
        Hop(path="transactions", name="answered", expected=posted, rows=kept),
        Hop(path="transactions", name="on Kafka", expected=kept, rows=kafka[TRANSACTIONS]),
        Hop(
            path="transactions",
            name="archived",
            expected=kafka[TRANSACTIONS],
            rows=rows(TRANSACTIONS),
            aside=kafka[DEAD_LETTERS],
        ),
        Hop(path="decisions", name="answered", rows=kept),
        Hop(path="decisions", name="on Kafka", expected=kept, rows=kafka[MODEL_PREDICTIONS]),
        Hop(path="decisions", name="archived", expected=kafka[MODEL_PREDICTIONS], rows=rows(MODEL_PREDICTIONS)),
        Hop(path="labels", name="of the live day", rows=day.labels.num_rows),
        Hop(path="labels", name="on Kafka", expected=day.labels.num_rows, rows=kafka[FRAUD_LABELS]),
        Hop(path="labels", name="archived", expected=kafka[FRAUD_LABELS], rows=rows(FRAUD_LABELS)),
        Hop(path="tiles", name="updates on Kafka", rows=kafka[FEATURE_TILES], note="absolute, one an event"),
    ]


def _remarks(live: LiveResult, day: LiveDay, probe: FreshnessProbe) -> list[str]:
    stopped = [d for d in live.decisions if d["action"] != "approve"]
    caught = sum(d["transaction_id"] in day.frauds for d in stopped)
    remarks = [
        f"On the live day {caught} of {len(day.frauds)} frauds were rejected or sent to review, "
        f"with {len(stopped) - caught} honest transactions among {live.answered:,}.",
        "The day is compressed: features are as late as they would be live, but many more events fall into that time, "
        "so more decisions than in life miss an event (stale). A mismatch would be another value from the same events.",
    ]
    if probe.unseen:
        remarks.append(f"{probe.unseen} sampled events were not readable after a minute.")
    return remarks

"""The main job: history, features and a model by Airflow, a live day, the next morning, and what came of it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from rich.console import Console

from lamina.contracts.topics import predictions_of
from lamina.definitions import load
from lamina.demo import collect
from lamina.demo.freshness import FreshnessProbe
from lamina.demo.hops import hops
from lamina.demo.live import LiveResult, Route
from lamina.demo.posting import DemoError, post_day, wait_for_kafka
from lamina.demo.sources import History, LiveDay
from lamina.demo.stages import Stages
from lamina.demo.story import Run, Story
from lamina.lake.answers import SHADOW, read_answers
from lamina.local.stack import Stack
from lamina.local.streams import start_streams
from lamina.orchestration.airflow_client import AirflowClient
from lamina.orchestration.airflow_runs import TaskState
from lamina.orchestration.jobs import ARCHIVE_DAILY
from lamina.reporting.page import Page
from lamina.reporting.results import DemoResults
from lamina.semantics.plan import make_plan
from lamina.settings import Settings

DAG_TIMEOUT_S = 1800.0
MODEL_TIMEOUT_S = 120.0


@dataclass
class MainJob:
    """One run of `story`. `rate_s` is how many requests a second the live day is posted with."""

    story: Story
    stack: Stack
    console: Console
    rate_s: float
    stages: Stages = field(init=False)

    def __post_init__(self) -> None:
        self.stages = Stages(self.console, self.stack.layout.logs)
        self._began = datetime.now(tz=UTC)
        self.source = self.story.source
        self._daily = f"features_daily_{self.story.system}"

    def run(self) -> tuple[DemoResults, Page]:
        """Everything, in order; the stack is left as it is at the end. Returns what was found, and how to show it.

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
            start_streams(self.stack, settings, [self.story.system])

    def _history(self, settings: Settings) -> History:
        with self.stages.run("history into the lake") as stage:
            history = self.source.import_history(settings.lake_url)
            stage.rows = history.rows[self.story.asked.topic]
            others = [route for route in self._unanswered if route.topic != self.story.asked.topic]
            stage.figures |= {route.name: history.rows[route.topic] for route in others}
            stage.figures["rejected"] = history.rejected
        return history

    def _day(self, settings: Settings, day: date, name: str) -> None:
        with self.stages.run(f"{name} ({self._daily} for {day})", log="airflow-scheduler") as stage:
            tasks = [self._dag(settings, dag, day, {}) for dag in (ARCHIVE_DAILY, self._daily)]
            stage.figures["tasks"] = sum(tasks)

    def _train(self, settings: Settings) -> None:
        system, day = self.story.system, self.source.training_date
        dag = f"ml_model_training_{system}"
        with self.stages.run(f"train a model ({dag} for {day})", log="airflow-scheduler") as stage:
            self._dag(settings, dag, day, {"wait_for_features": False, "train_days": self.source.train_days})
            evaluation, _ = collect.evaluated(settings, system, day)
            found = collect.figures(evaluation)
            stage.rows = evaluation.rows
            stage.figures |= {name: found.get(metric, 0.0) for name, metric in self.story.trained.items()}

    def _await_champion(self, settings: Settings) -> None:
        with self.stages.run("wait until the champion is served", log="api") as stage:
            stage.figures["version"] = self._wait_for_champion(settings)

    def _dag(self, settings: Settings, dag: str, day: date, conf: dict[str, Any]) -> int:
        """Run `dag` for `day` to its end; returns how many tasks it has."""

        def show(task: TaskState) -> None:
            if task.state in ("running", "success", "failed", "up_for_retry"):
                self.console.print(f"  [dim]{dag}: {task.task_id}: {task.state}[/]", highlight=False)

        with AirflowClient(settings.airflow_url, clock=self.source.clock) as airflow:
            tasks = airflow.run_day(dag, day, DAG_TIMEOUT_S, conf, rerun=True, on_change=show)
        return len(tasks)

    def _wait_for_champion(self, settings: Settings) -> str:
        deadline = time.monotonic() + MODEL_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = httpx.get(f"{_api(settings)}/health/ready", timeout=10)
            found = answer.json()["dependencies"].get(f"model of {self.story.system}")
            if found is None:
                raise DemoError(
                    f"the API serves no {self.story.system}: is there a serving/systems/{self.story.system}?"
                )
            if found["version"]:
                return str(found["version"])
            time.sleep(1)
        raise DemoError(f"the API serves no model after {MODEL_TIMEOUT_S:.0f} s: see {self.stack.layout.log('api')}")

    def _live(self, settings: Settings) -> tuple[LiveResult, FreshnessProbe, LiveDay]:
        day = self.source.live()
        with self.stages.run(f"live day {day.day} at {self.rate_s:g} requests/s", log="api") as stage:
            probe = FreshnessProbe(make_plan(load(self.story.system)), settings.redis_url.get_secret_value())
            result = post_day(self.story, day, probe, _api(settings), self.rate_s, self.console)
            if result.failed:
                raise DemoError(f"{sum(result.failed.values())} requests failed: {dict(result.failed)}")
            stage.rows = result.answered
            client = collect.percentiles("", result.latency_ms)
            stage.figures |= {route.name: result.accepted[route.name] for route in self._unanswered}
            stage.figures |= {"p50 ms": client.p50_ms, "p99 ms": client.p99_ms}
        with self.stages.run("everything on Kafka", log="api") as stage:
            stage.figures |= wait_for_kafka(settings, self.story, result)
        return result, probe, day

    def _results(
        self, settings: Settings, history: History, day: LiveDay, live: LiveResult, probe: FreshnessProbe
    ) -> tuple[DemoResults, Page]:
        story, lake = self.story, settings.lake_url
        with self.stages.run("gather the results"):
            logged = read_answers(lake, story.system, ("stage_ms", "latency_ms"), days=[day.day]).to_pylist()
            kafka = collect.on_kafka(settings)
            with_answers = collect.archived(lake, predictions_of(story.system), day.day, SHADOW)
            shadows = sum(bool(row.get(SHADOW)) for row in with_answers)
            common = DemoResults(
                input_name=self.source.name,
                system=story.system,
                started_at=self._began,
                seconds=0,
                stages=[],
                hops=hops(story, history, day, live, kafka, lambda topic: _archived(lake, topic, day.day), shadows),
                latency=collect.latency(story, live, logged, self.rate_s),
                freshness=collect.freshness(probe.ms),
                parity=collect.parity(lake, story.system, day.day),
                model=collect.model(settings, story),
                environment=collect.environment(),
                remarks=_remarks(story, probe),
            )
            found, page = story.tell(common, Run(settings, day, live))
        # This stage is one of those that are shown.
        seconds = (datetime.now(tz=UTC) - self._began).total_seconds()
        return found.model_copy(update={"seconds": seconds, "stages": self.stages.done}), page

    @property
    def _unanswered(self) -> list[Route]:
        return [route for route in self.story.routes if not route.is_answered]


def _api(settings: Settings) -> str:
    return f"http://{settings.api_host}:{settings.api_port}"


def _archived(lake_url: str, topic: str, day: date) -> int:
    return len(collect.archived(lake_url, topic, day, "timestamp"))


def _remarks(story: Story, probe: FreshnessProbe) -> list[str]:
    remarks = [
        "The day is compressed: features are as late as they would be live, but many more events fall into that time, "
        f"so more {story.answer}s than in life miss an event (stale). A mismatch would be another value from the same "
        "events.",
    ]
    if probe.unseen:
        remarks.append(f"{probe.unseen} sampled events were not readable after a minute.")
    return remarks

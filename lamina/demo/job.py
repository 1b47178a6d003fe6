"""The main job: history, features and a model by Airflow, a live day, the next morning, and what came of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rich.console import Console

from lamina.contracts.topics import predictions_of
from lamina.definitions import load
from lamina.demo import collect
from lamina.demo.champion import api_url, wait_for_version
from lamina.demo.freshness import FreshnessProbe
from lamina.demo.hops import hops
from lamina.demo.live import LiveResult, Route
from lamina.demo.posting import DemoError, post_day, wait_for_kafka
from lamina.demo.runs import Runs
from lamina.demo.second import Second
from lamina.demo.second_page import sections
from lamina.demo.sources import History, LiveDay
from lamina.demo.stages import Stages
from lamina.demo.story import Run, SecondAct, Story
from lamina.lake.answers import SHADOW, read_answers
from lamina.local.stack import Stack
from lamina.local.streams import start_streams
from lamina.orchestration.jobs import ARCHIVE_DAILY
from lamina.reporting.page import Page
from lamina.reporting.results import DemoResults
from lamina.semantics.plan import make_plan
from lamina.settings import Settings


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
        found, page = self._results(settings, history, day, live, probe)
        if self.story.second is not None:
            found, page = self._second(settings, self.story.second, found, page)
        # The last stages are among those that are shown.
        seconds = (datetime.now(tz=UTC) - self._began).total_seconds()
        return found.model_copy(update={"seconds": seconds, "stages": self.stages.done}), page

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
            stage.figures["version"] = wait_for_version(settings, self.story.system)

    def _dag(self, settings: Settings, dag: str, day: date, conf: dict[str, Any]) -> int:
        """Run `dag` for `day` to its end; returns how many tasks it has."""
        return len(Runs(settings, self.console, self.source.clock).day(dag, day, conf))

    def _live(self, settings: Settings) -> tuple[LiveResult, FreshnessProbe, LiveDay]:
        day = self.source.live()
        with self.stages.run(f"live day {day.day} at {self.rate_s:g} requests/s", log="api") as stage:
            probe = FreshnessProbe(make_plan(load(self.story.system)), settings.redis_url.get_secret_value())
            result = post_day(self.story, day, probe, api_url(settings), self.rate_s, self.console)
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
            return story.tell(common, Run(settings, day, live))

    def _second(self, settings: Settings, act: SecondAct, found: DemoResults, page: Page) -> tuple[DemoResults, Page]:
        """What the second act adds."""
        folder = self.stack.layout.stack_dir
        repair, more = Second(self.story, act, settings, folder, self.stages, self.console, self.rate_s).run()
        found = found.model_copy(update={"repair": repair, "hops": [*found.hops, *more]})
        return found, replace(page, sections=(*page.sections, *sections(repair)))

    @property
    def _unanswered(self) -> list[Route]:
        return [route for route in self.story.routes if not route.is_answered]


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

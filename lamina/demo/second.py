"""The second act: the world changes, monitoring sees it once labels are there, and a retraining repairs the model while
requests come in.

    first act | days go by, unposted | a live day | the morning after: archive, labels, reports, an alert | retraining,
    gate and swap, while the days after are posted | a day or more by what serves then

No delay is shortened: an alert by labels is of days that the story's clock has left a label's delay behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

import orjson
from rich.console import Console

from lamina.clock import day_of, midnight_ms, next_day
from lamina.contracts.topics import predictions_of
from lamina.definitions import load
from lamina.demo import collect
from lamina.demo.champion import api_url, wait_for_version
from lamina.demo.freshness import FreshnessProbe
from lamina.demo.judged import Judged, span, spans_by_day
from lamina.demo.live import LiveResult, Post
from lamina.demo.posting import DemoError, post_day, post_until, posts_of, wait_for_kafka
from lamina.demo.runs import Runs
from lamina.demo.sources import LiveDay
from lamina.demo.stages import Stages
from lamina.demo.story import SecondAct, Story
from lamina.demo.told import Board, board, wait_until_told
from lamina.demo.unposted import put_answers, put_events
from lamina.monitoring.drift.findings import Kind
from lamina.monitoring.reports import Summary, kinds, read_report
from lamina.orchestration.jobs import ARCHIVE_DAILY, label_days
from lamina.orchestration.promotion import decision
from lamina.orchestration.retrain import KIND, Retraining
from lamina.registry.gate import Enough
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import CHAMPION, RegistryError
from lamina.reporting.results import Hop, Repair, Told
from lamina.semantics.plan import make_plan
from lamina.settings import Settings

BEFORE_DAYS = 7
"""Days before the change whose requests are scored as well: the measure of what is lost."""
LOAD_SHARE = 1 / 3
"""Of the usual rate, while a model is trained on the same cores."""
LEAST_POSITIVES = 20
"""By so many at least its AUC is told. A small world has days without any."""
LAST_HOUR = 23
BY_LABELS = tuple(f"{kind}_drift" for kind in (Kind.PRIOR, Kind.CONCEPT))


@dataclass
class Second:
    """The act on a stack that has played the first. `folder`: the stack's."""

    story: Story
    act: SecondAct
    settings: Settings
    folder: Path
    stages: Stages
    console: Console
    rate_s: float

    def __post_init__(self) -> None:
        self._changed = next_day(self.story.source.live_day)
        self._live_day = self.story.last_day
        self._hour = datetime.combine(self._live_day, time(LAST_HOUR), tzinfo=UTC)
        self._runs = Runs(self.settings, self.console, lambda: midnight_ms(next_day(self._live_day)))
        self._training = f"ml_model_training_{self.story.system}"
        self._request = load(self.story.system).request
        self._unit = load(self.story.system).entities[0].key
        self._positives: dict[date, frozenset[str]] = {}

    def run(self) -> tuple[Repair, list[Hop]]:
        """Play it; returns what came of it, and what came through each hop.

        Raises: StageFailed: as the first act.
        """
        kafka = collect.on_kafka(self.settings)
        judged = self._days_go_by()
        unposted = sum(row.day >= self._changed for row in judged)
        live = self._live(kafka)
        judged += self._judged(live.answers)
        self._morning()
        with board(api_url(self.settings)) as seen:
            alerts = self._watch()
            repair = Repair(
                changed=self.act.changed,
                since=self._changed,
                asked=self._hour,
                label_days=label_days(self.story.system),
                unposted=unposted,
                spans=[],
                alerts=alerts,
            )
            repair, loaded = self._repair(repair)
            for result in loaded:
                judged += self._judged(result.answers)
            repair = self._told(repair, seen)
        return self._measured(repair, judged), self._hops(kafka, live, loaded)

    def _days_go_by(self) -> list[Judged]:
        story, lake = self.story, self.settings.lake_url
        first = self.act.number(self._changed)
        days = range(first, self.act.number(self._live_day))
        last = self._live_day - timedelta(days=1)
        with self.stages.run(f"{len(days)} days go by: {self.act.changed}", log="airflow-scheduler") as stage:
            stage.rows = put_events(self.act, lake, days)[story.asked.topic]
            conf = {"system": story.system, "from": str(last), "to": str(last)}
            registry = MlflowRegistry(self.settings.mlflow_uri)
            version = registry.alias(story.system, CHAMPION)
            if version is None:
                raise RegistryError(f"no version of {story.system} serves: the first act has promoted none")
            with ThreadPoolExecutor(1) as beside:
                built = beside.submit(self._runs.day, "features_backfill", last, conf)
                before = range(max(first - BEFORE_DAYS, 0), first)
                judged = put_answers(story, self.act, lake, registry, version, self.folder, days, also=before)
                built.result()
            stage.figures["answered by version"] = version.version
        return judged

    def _live(self, kafka: Mapping[str, int]) -> LiveResult:
        day, n = self._live_day, self.act.number(self._live_day)
        with self.stages.run(f"live day {day} at {self.rate_s:g} requests/s", log="api") as stage:
            events = LiveDay(day, self.act.world.day(n), self.act.world.truth(n))
            probe = FreshnessProbe(make_plan(load(self.story.system)), self.settings.redis_url.get_secret_value())
            result = post_day(self.story, events, probe, api_url(self.settings), self.rate_s, self.console)
            if result.failed:
                raise DemoError(f"{sum(result.failed.values())} requests failed: {dict(result.failed)}")
            wait_for_kafka(self.settings, self.story, result, kafka)
            stage.rows = result.answered
            stage.figures["p99 ms"] = collect.percentiles("", result.latency_ms).p99_ms
        return result

    def _morning(self) -> None:
        daily = f"features_daily_{self.story.system}"
        name = f"next morning: archive, features, parity, labels ({daily} for {self._live_day})"
        with self.stages.run(name, log="airflow-scheduler") as stage:
            tasks = [self._runs.day(dag, self._live_day, {}) for dag in (ARCHIVE_DAILY, daily)]
            stage.figures["tasks"] = sum(map(len, tasks))

    def _watch(self) -> list[Told]:
        """What the reports of the last hour of the live day tell."""
        dag = f"monitoring_{self.story.system}"
        with self.stages.run(f"what is watched ({dag} for {self._hour:%Y-%m-%dT%H})", log="airflow-scheduler") as stage:
            self._runs.hour(dag, self._hour)
            alerts = list(self._alerts())
            stage.figures |= {"alerts": len(alerts), "by labels": sum(alert.by_labels for alert in alerts)}
        return alerts

    def _alerts(self) -> Iterator[Told]:
        lake, system = self.settings.lake_url, self.story.system
        for kind in kinds(lake, system):
            report = read_report(lake, system, kind, self._hour, Summary)
            for alert in report.alerts if report else ():
                told = alert.model_dump(exclude={"since_ms"})
                yield Told(report=kind, by_labels=kind == "performance" or alert.name in BY_LABELS, **told)

    def _repair(self, repair: Repair) -> tuple[Repair, list[LiveResult]]:
        """The retraining that the hour asked for, while the days after are posted; then by what serves."""
        chosen = read_report(self.settings.lake_url, self.story.system, KIND, self._hour, Retraining)
        if chosen is None:
            return repair, []
        posts = self._later()
        with self.stages.run(
            f"retraining under load ({self._training}, {chosen.run_id})", log="airflow-scheduler"
        ) as stage:
            stop = Event()
            with ThreadPoolExecutor(1) as beside:
                load_result = beside.submit(post_until, api_url(self.settings), posts, self.rate_s * LOAD_SHARE, stop)
                try:
                    promoted, outcome, version = self._retrain(chosen)
                finally:
                    stop.set()
                loaded = [load_result.result()]
            stage.rows = loaded[0].answered
            stage.figures["failed"] = loaded[0].failed.total()
        if promoted:
            with self.stages.run(f"a day's requests or more to version {version}", log="api") as stage:
                loaded.append(post_until(api_url(self.settings), self._tellable(posts), self.rate_s, Event()))
                stage.rows = loaded[-1].answered
                stage.figures["failed"] = loaded[-1].failed.total()
        by = [self.act.scored(answer)[0] or "no model" for result in loaded for answer in result.answers]
        news = {
            "run_id": chosen.run_id,
            "outcome": outcome,
            "replaced_by": version if promoted else "",
            "answered": dict(sorted(Counter(by).items())),
            "failed": dict(sum((result.failed for result in loaded), Counter[str]())),
        }
        return repair.model_copy(update=news), loaded

    def _retrain(self, chosen: Retraining) -> tuple[bool, str, str]:
        """Whether the version of the asked training serves, why, and which one it is."""
        settings, system, day = self.settings, self.story.system, chosen.logical_date.date()
        self._runs.named(self._training, chosen.run_id)
        enough = Enough(settings.parity_max_age_days, settings.parity_min_decisions)
        promoted, outcome = decision(settings.lake_url, system, day, enough)
        candidate = collect.evaluated(settings, system, day)[0].candidate
        version = candidate.version if candidate else "none"
        if promoted:
            wait_for_version(settings, system, version)
        return promoted, outcome, version

    def _later(self) -> Iterator[Post]:
        """Requests of the days after the live one, as long as the world has some."""
        first = self.act.number(self._live_day) + 1
        days = (self.act.world.day(n) for n in range(first, self.act.world.days))
        return chain.from_iterable(posts_of(self.story, events) for events in days)

    def _tellable(self, posts: Iterator[Post]) -> Iterator[Post]:
        """A day's requests, and on until enough of them are positive to tell how good a version is."""
        left = len(posts_of(self.story, self.act.world.day(self.act.number(self._live_day))))
        wanted = LEAST_POSITIVES
        while (left > 0 or wanted > 0) and (post := next(posts, None)) is not None:
            left -= 1
            if post.route.is_answered:
                wanted -= self._is_positive(orjson.loads(post.body))
            yield post

    def _told(self, repair: Repair, seen: Board) -> Repair:
        named = {alert.name for alert in repair.alerts if alert.by_labels} or {alert.name for alert in repair.alerts}
        if not named:
            return repair
        with self.stages.run(f"an alert in {seen.name}", log="api") as stage:
            shown = wait_until_told(seen, self.story.system, named)
            stage.figures["told"] = ", ".join(shown)
        return repair.model_copy(update={"shown_by": seen.name, "shown": shown})

    def _judged(self, answers: Iterable[Mapping[str, Any]]) -> list[Judged]:
        """Answers by a model, with what is true of them."""
        found = []
        for answer in answers:
            version, score = self.act.scored(answer)
            if version is None or score is None:
                continue
            day = day_of(answer[self._request.timestamp])
            found.append(Judged(day, version, score, self._is_positive(answer), str(answer[self._unit])))
        return found

    def _is_positive(self, event: Mapping[str, Any]) -> bool:
        day = day_of(event[self._request.timestamp])
        if day not in self._positives:
            self._positives[day] = self.act.positives(self.act.number(day))
        return event[self._request.id] in self._positives[day]

    def _measured(self, repair: Repair, judged: list[Judged]) -> Repair:
        """The AUC before the change, by the version that served then after it, and by its successor."""
        first = judged[0].version
        spans = [
            span("before", [row for row in judged if row.day < self._changed]),
            span("during", [row for row in judged if row.day >= self._changed and row.version == first]),
        ]
        if repair.replaced_by:
            spans.append(span("after", [row for row in judged if row.version == repair.replaced_by]))
        return repair.model_copy(update={"spans": spans, "by_day": spans_by_day(judged)})

    def _hops(self, kafka: Mapping[str, int], live: LiveResult, loaded: Iterable[LiveResult]) -> list[Hop]:
        path, topic = "second act", self.story.asked.topic
        results = [live, *loaded]
        posted, answered = (sum(getattr(each, name) for each in results) for name in ("posted", "answered"))
        whole = LiveResult(accepted=sum((each.accepted for each in results[1:]), live.accepted))
        whole.answers = [answer for each in results for answer in each.answers]
        there = wait_for_kafka(self.settings, self.story, whole, kafka)[topic] - kafka[topic]
        taken = sum(whole.taken(route) for route in self.story.by_topic[topic])
        archived = len(
            collect.archived(self.settings.lake_url, predictions_of(self.story.system), self._live_day, "shadow")
        )
        return [
            Hop(path=path, name="asked", rows=posted),
            Hop(path=path, name="answered", expected=posted, rows=answered),
            Hop(path=path, name="on Kafka", expected=taken, rows=there),
            Hop(path=f"{path}, live day", name="archived", expected=live.answered, rows=archived),
        ]

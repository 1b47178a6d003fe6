"""The second act goes as far as what it finds lets it: an alert, a training, a gate and a swap; nothing is started."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import orjson
import pyarrow as pa
import pytest
from rich.console import Console

from lamina.clock import midnight_ms
from lamina.contracts.topics import predictions_of
from lamina.contracts.user_events import USER_EVENTS
from lamina.demo import collect, second
from lamina.demo.judged import Judged
from lamina.demo.live import LiveResult, Post, Route
from lamina.demo.posting import posts_of
from lamina.demo.runs import Runs
from lamina.demo.second import Second
from lamina.demo.sources import WorldSource
from lamina.demo.stages import Stages
from lamina.demo.story import SecondAct, Story
from lamina.monitoring.reports import Alert, Report, Window, write_report
from lamina.orchestration.retrain import Retraining
from lamina.registry.mlflow import MlflowRegistry
from lamina.reporting.page import Page
from lamina.reporting.results import Hop, Repair
from lamina.settings import load_settings
from lamina.worlds.protocol import World

FIRST_DAYS, GONE_DAYS = 3, 10
FULL_RATE = 60.0
LIVE = date(2026, 1, 5) + timedelta(days=FIRST_DAYS - 1 + GONE_DAYS)
HOUR = datetime(LIVE.year, LIVE.month, LIVE.day, 23, tzinfo=UTC)


class Looks(World):
    """Days of a look an hour by one of five people; that of every fifth hour is positive."""

    start = date(2026, 1, 5)

    def __init__(self, days: int) -> None:
        self.days = days

    def day(self, n: int) -> dict[str, pa.Table]:
        rows = [
            {
                "event_id": f"{n}-{hour}",
                "user_id": f"u{hour % 7}",
                "timestamp": midnight_ms(self.date_of(n)) + hour * 3_600_000,
            }
            for hour in range(24)
        ]
        return {USER_EVENTS: pa.Table.from_pylist(rows)}

    def truth(self, n: int) -> pa.Table:
        return pa.table({"event_id": [f"{n}-{hour}" for hour in range(0, 24, 5)]})


def story() -> Story:
    world = Looks(FIRST_DAYS + GONE_DAYS + 4)

    def never(*_: object) -> Any:
        raise AssertionError("what is unposted is not made here")

    return Story(
        system="activity",
        answer="score",
        source=WorldSource(Looks(FIRST_DAYS), "looks"),
        routes=(Route(USER_EVENTS, "/activity/views", "views", True),),
        prepare=lambda folder: {},
        trained={},
        facts="",
        target=collect.percentiles("target", [10.0]),
        tell=lambda common, run: (common, Page("score")),
        second=SecondAct(
            world=world,
            changed="people look twice",
            positives=lambda n: frozenset(world.truth(n)["event_id"].to_pylist()),
            answering=never,
            scored=lambda answer: (answer["version"], answer["score"]),
            days=GONE_DAYS,
        ),
    )


@dataclass
class Stage:
    """What the act is played on: services that answer at once, and what was asked of them, in order."""

    alerts: tuple[Alert, ...] = ()
    promoted: bool = True
    fails: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    serves: str = "1"
    kafka: Counter[str] = field(default_factory=Counter)
    loaded: Event = field(default_factory=Event)

    def answered(self, posts: Sequence[Post]) -> LiveResult:
        result = LiveResult(posted=len(posts) + self.fails.total(), failed=self.fails.copy())
        for post in posts:
            event = orjson.loads(post.body)
            hour = int(event["event_id"].split("-")[1])
            # Whoever serves first takes every third for positive; its successor knows.
            score = 0.9 if hour % (5 if self.serves == "2" else 3) == 0 else 0.1 + hour / 100
            result.answers.append(event | {"version": self.serves, "score": score})
        result.latency_ms = [3.0] * len(posts)
        self.kafka[USER_EVENTS] += len(posts)
        self.kafka[predictions_of("activity")] += len(posts)
        return result


def _id(post: Post) -> str:
    return str(orjson.loads(post.body)["event_id"])


AUC_FELL = Alert(
    name="auc_fell", severity="warning", subject="version 1", value=0.6, threshold=0.8, message="fell", since_ms=0
)
WEEKLY = AUC_FELL.model_copy(update={"name": "covariate_drift", "subject": "user_events_7d"})


def play(stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Repair, list[Hop]]:
    """Play the act on `stage`."""
    made = story()
    settings = load_settings().model_copy(update={"lake_url": str(folder / "lake")})
    act = made.second
    assert act is not None

    def put_answers(*given: Any, also: range) -> list[Judged]:
        days = given[-1]
        stage.asked.append(f"answers of {days[0]} to {days[-1]}, {also[0]} to {also[-1]} beside")
        rows = [(n, hour) for n in (*also, *days) for hour in range(24)]
        return [
            Judged(act.world.date_of(n), "1", 0.9 if hour % (5 if n in also else 3) == 0 else 0.1, hour % 5 == 0, "u")
            for n, hour in rows
        ]

    def post_day(*given: Any) -> LiveResult:
        stage.asked.append(f"live {given[1].day}")
        return stage.answered(posts_of(made, given[1].events))

    def post_until(url: str, posts: Iterator[Post], rate_s: float, stop: Event) -> LiveResult:
        if rate_s == FULL_RATE:
            found = list(posts)
            stage.asked.append(f"{len(found)} requests from {_id(found[0])} on at {rate_s:g} a second")
            return stage.answered(found)
        early = [next(posts) for _ in range(30)]
        result = stage.answered(early)
        stage.loaded.set()
        assert stop.wait(10), "it is told when to end"
        stage.asked.append(f"load from {_id(early[0])} on at {rate_s:g} a second")
        return result

    def day(runs: Any, dag: str, of: date, conf: dict[str, str]) -> list[str]:
        stage.asked.append(" ".join([f"{dag} for {of}", *conf.values()]))
        return ["task"]

    def hour(runs: Any, dag: str, at: datetime) -> list[str]:
        stage.asked.append(f"{dag} for {at:%Y-%m-%dT%H}")
        window = Window(start_ms=midnight_ms(LIVE), end_ms=midnight_ms(LIVE))
        common: dict[str, Any] = {"system": "activity", "known_before_ms": 1, "window": window}
        by_kind = {"drift": WEEKLY, "performance": AUC_FELL}
        for kind, one in by_kind.items():
            alerts = tuple(alert for alert in stage.alerts if alert is one)
            write_report(settings.lake_url, HOUR, Report(kind=kind, alerts=alerts, **common))
        if stage.alerts:
            chosen = Retraining(since=LIVE, run_id="drift__x", logical_date=HOUR, conf={}, reason="fell", **common)
            write_report(settings.lake_url, HOUR, chosen)
        return ["task"]

    def named(runs: Any, dag: str, run_id: str) -> list[str]:
        assert stage.loaded.wait(10), "requests come in while it is trained"
        stage.asked.append(f"{dag} called {run_id}")
        return ["task"]

    def wait_for_version(of: Any, system: str, wanted: str) -> str:
        stage.serves = wanted
        return wanted

    @contextmanager
    def board(url: str) -> Iterator[Any]:
        yield SimpleNamespace(name="a board", told=lambda system, alerts: sorted(alerts))

    candidate = SimpleNamespace(version="2", metrics={})
    version = SimpleNamespace(name="activity", version="1")
    replaced: dict[str, Any] = {
        "put_events": lambda act, lake, days: {USER_EVENTS: 24 * len(days)},
        "put_answers": put_answers,
        "post_day": post_day,
        "post_until": post_until,
        "wait_for_kafka": lambda settings, story, result, before: dict(stage.kafka),
        "wait_for_version": wait_for_version,
        "decision": lambda *given: (stage.promoted, "as it was measured"),
        "board": board,
    }
    for name, instead in replaced.items():
        monkeypatch.setattr(second, name, instead)
    for name, run in (("day", day), ("hour", hour), ("named", named)):
        monkeypatch.setattr(Runs, name, run)
    monkeypatch.setattr(MlflowRegistry, "alias", lambda *given: version)
    monkeypatch.setattr(collect, "on_kafka", lambda settings: Counter({USER_EVENTS: 5}))
    monkeypatch.setattr(collect, "archived", lambda *given: [{}] * 24)
    monkeypatch.setattr(collect, "evaluated", lambda *given: (SimpleNamespace(candidate=candidate), "run"))
    stage.kafka = Counter({USER_EVENTS: 5})
    console = Console(file=io.StringIO())
    return Second(made, act, settings, folder, Stages(console, folder), console, rate_s=FULL_RATE).run()


def test_a_change_is_seen_and_repaired_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(alerts=(WEEKLY, AUC_FELL))
    monkeypatch.setattr(second, "LEAST_POSITIVES", 5)
    repair, hops = play(stage, tmp_path, monkeypatch)
    before = LIVE - timedelta(days=1)
    assert sorted(stage.asked[:2]) == [
        "answers of 3 to 11, 0 to 2 beside",
        f"features_backfill for {before} activity {before} {before}",
    ]
    assert stage.asked[2:] == [
        f"live {LIVE}",
        f"archive_daily for {LIVE}",
        f"features_daily_activity for {LIVE}",
        f"monitoring_activity for {HOUR:%Y-%m-%dT%H}",
        "ml_model_training_activity called drift__x",
        "load from 13-0 on at 20 a second",
        "24 requests from 14-6 on at 60 a second",
    ]
    assert [(each.name, each.versions) for each in repair.spans] == [
        ("before", ["1"]),
        ("during", ["1"]),
        ("after", ["2"]),
    ]
    was, during, after = (each.auc or 0.0 for each in repair.spans)
    assert was == after == 1.0 and during < 0.8
    assert repair.spans[1].rows == GONE_DAYS * 24 + 30, "what the first version answered under load is of it"
    assert (repair.replaced_by, repair.answered, repair.failed) == ("2", {"1": 30, "2": 24}, {})
    assert (repair.outcome, repair.run_id) == ("as it was measured", "drift__x")
    assert repair.unposted == (GONE_DAYS - 1) * 24
    assert [(alert.name, alert.by_labels) for alert in repair.alerts] == [
        ("covariate_drift", False),
        ("auc_fell", True),
    ]
    assert (repair.shown_by, repair.shown) == ("a board", ["auc_fell"]), "an alert by labels is waited for"
    assert [hop.lost for hop in hops] == [None, 0, 0, 0]
    assert hops[0].rows == 24 + 30 + 24


@pytest.mark.parametrize(
    ("least", "posted"),
    [(5, 24), (7, 34), (1000, 66)],
    ids=["a day has enough", "until the seventh positive one", "until the world ends"],
)
def test_what_takes_over_is_asked_until_it_can_be_told_how_good_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int, posted: int
) -> None:
    stage = Stage(alerts=(AUC_FELL,))
    monkeypatch.setattr(second, "LEAST_POSITIVES", least)
    repair, _ = play(stage, tmp_path, monkeypatch)
    assert stage.asked[-1] == f"{posted} requests from 14-6 on at 60 a second"
    assert repair.spans[-1].rows == posted


def test_requests_that_fail_while_it_takes_over_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(alerts=(AUC_FELL,))
    answered = stage.answered

    def failing(posts: Sequence[Post]) -> LiveResult:
        stage.fails = Counter({"HTTP 503": 2}) if len(posts) == 30 else Counter()
        return answered(posts)

    monkeypatch.setattr(stage, "answered", failing)
    repair, hops = play(stage, tmp_path, monkeypatch)
    assert (repair.failed, repair.failures) == ({"HTTP 503": 2}, 2)
    assert hops[1].lost == 2


def test_a_version_that_the_gate_keeps_out_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repair, _ = play(Stage(alerts=(AUC_FELL,), promoted=False), tmp_path, monkeypatch)
    assert (repair.replaced_by, repair.answered, repair.run_id) == ("", {"1": 30}, "drift__x")
    assert [each.name for each in repair.spans] == ["before", "during"]
    assert repair.shown == ["auc_fell"]


def test_where_nothing_is_told_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    repair, hops = play(stage, tmp_path, monkeypatch)
    assert not any("training" in each or "load" in each for each in stage.asked)
    assert (repair.run_id, repair.alerts, repair.shown, repair.replaced_by) == ("", [], [], "")
    assert hops[0].rows == 24

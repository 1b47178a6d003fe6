"""The main job runs every stage in order and tells what came of it, whatever the system; nothing is started here."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pyarrow as pa
import pytest
from rich.console import Console

from lamina.clock import midnight_ms
from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, predictions_of
from lamina.contracts.user_events import USER_EVENTS
from lamina.demo import collect, job, posting
from lamina.demo.job import MainJob
from lamina.demo.live import LiveResult, Post, Route
from lamina.demo.second import Second
from lamina.demo.second_page import CHANGED, TOLD
from lamina.demo.sources import WorldSource
from lamina.demo.stories.fraud import FraudResults
from lamina.demo.story import Options, Story, load_story
from lamina.reporting.page import Page
from lamina.reporting.report import render
from lamina.reporting.results import DemoResults, Hop, Repair
from lamina.settings import Settings, load_settings
from lamina.worlds.protocol import World
from tests.unit.demo.repaired import repaired

METRICS = {"auc": 0.75, "average_precision": 0.5, "recall_scenario_card_testing": 0.25}


class Clicks(World):
    """Three days of one click or purchase an hour, by one of two people."""

    start, days = date(2026, 1, 5), 3

    def day(self, n: int) -> dict[str, pa.Table]:
        rows = [
            {
                "event_id": f"{n}-{hour}",
                "user_id": f"u{hour % 2}",
                "event_type": "purchase" if hour % 6 == 5 else "click",
                "timestamp": midnight_ms(self.date_of(n)) + hour * 3_600_000,
            }
            for hour in range(24)
        ]
        return {USER_EVENTS: pa.Table.from_pylist(rows)}

    def truth(self, n: int) -> pa.Table:
        return pa.table({"event_id": [f"{n}-0"], "buys": [True]})


def clicks() -> Story:
    """A made-up demo of one topic whose events go two ways: what a story has to give, and no more."""
    return Story(
        system="activity",
        answer="score",
        source=WorldSource(Clicks(), "three days of clicks"),
        routes=(
            Route(USER_EVENTS, "/activity/scores", "clicks", True, ("event_type", frozenset({"click"}))),
            Route(USER_EVENTS, "/activity/events", "purchases", only=("event_type", frozenset({"purchase"}))),
        ),
        prepare=lambda folder: {},
        trained={"auc": "auc"},
        facts="recall_",
        target=collect.percentiles("target", [10.0]),
        tell=lambda common, run: (common, Page("score")),
    )


def fraud(folder: Path) -> Story:
    return replace(load_story("fraud", Options(users=60, days=30, data=None, scratch=folder)), second=None)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], tuple[MainJob, DemoResults, Page]]:
    """Runs a story on services that answer at once and keep everything."""

    async def post_all(url: str, posts: Sequence[Post], rate_s: float, on_done: Any, watch: Any) -> LiveResult:
        result = LiveResult()
        for post in posts:
            if not post.route.is_answered:
                result.accepted[post.route.name] += 1
                continue
            result.posted += 1
            result.latency_ms.append(5.0)
            event = orjson.loads(post.body)
            result.answers.append(event | {"action": "approve", "reasons": [], "fallback": "none"})
        return result

    def made(story: Story) -> tuple[MainJob, DemoResults, Page]:
        day = story.source.live().events
        kafka = {topic: table.num_rows for topic, table in day.items()}
        answered = story.asked.of(day[story.asked.topic]).num_rows
        kafka |= {DEAD_LETTERS: 0, FEATURE_TILES: 7, predictions_of(story.system): answered}

        def archived(lake_url: str, topic: str, at: date, *columns: str) -> list[dict[str, object]]:
            return [{"stage_ms": '{"model": 1.5}', "latency_ms": 2.0}] * kafka[topic]

        def dag(job: MainJob, settings: Settings, dag: str, day: date, conf: dict[str, object]) -> int:
            DAGS.append((dag, day))
            return 2

        candidate = SimpleNamespace(version="1", metrics=METRICS)
        evaluation = SimpleNamespace(rows=90, positives=3, candidate=candidate, promote=True, reasons=["none before"])
        monkeypatch.setattr(collect, "archived", archived)
        monkeypatch.setattr(collect, "on_kafka", lambda settings: kafka)
        monkeypatch.setattr(collect, "evaluated", lambda *_: (evaluation, "run"))
        monkeypatch.setattr(collect, "curves", lambda *_: {"pr": [(0.0, 1.0), (1.0, 0.1)], "roc": []})
        monkeypatch.setattr(collect, "find", lambda *_: SimpleNamespace(tags={"git_commit": "abc"}))
        monkeypatch.setattr(collect, "parity", lambda *_: [])
        monkeypatch.setattr(posting, "post_all", post_all)
        monkeypatch.setattr(job, "start_streams", lambda stack, settings, systems: None)
        monkeypatch.setattr(MainJob, "_dag", dag)
        monkeypatch.setattr(job, "wait_for_version", lambda *_: "1")
        settings = load_settings().model_copy(update={"lake_url": str(tmp_path / "lake")})
        done = MainJob(story, Stack(tmp_path, settings), Console(file=io.StringIO()), rate_s=75)  # type: ignore[arg-type]
        return done, *done.run()

    return made


DAGS: list[tuple[str, date]] = []
"""What was run, in order."""


class Stack:
    """A stack that is there at once."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.layout, self.services = SimpleNamespace(logs=folder, stack_dir=folder), ("kafka", "api")
        self._settings = settings

    def start(self) -> None:
        pass

    def settings(self) -> Settings:
        return self._settings


def test_the_demo_of_fraud_tells_what_only_fraud_has(
    run: Callable[[Story], tuple[MainJob, DemoResults, Page]], tmp_path: Path
) -> None:
    done, found, page = run(fraud(tmp_path))
    assert isinstance(found, FraudResults)
    assert found.decisions and found.detection and found.model and found.latency
    live = done.source.live()
    assert found.decisions.by_action == {"approve": found.latency.client.count}
    assert (found.detection.rows, found.detection.frauds, found.detection.scores.auc) == (90, 3, 0.75)
    assert found.model.facts == {"recall_scenario_card_testing": 0.25}
    assert found.remarks[0].startswith(f"On the live day 0 of {live.truth.num_rows} frauds")
    assert (found.lost, found.wrong) == (0, 0)
    assert [section.title for section in page.sections] == ["Detection", "Decisions"]
    shown = {stage.name.split(" (")[0]: stage for stage in found.stages}
    assert set(shown["history into the lake"].figures) == {"labels", "rejected"}
    assert shown["train a model"].figures == {"auc": 0.75, "ap": 0.5}
    assert list(shown)[-1] == "gather the results"


def test_a_day_is_archived_before_its_features_are_asked_for(
    run: Callable[[Story], tuple[MainJob, DemoResults, Page]], tmp_path: Path
) -> None:
    DAGS.clear()
    source = run(fraud(tmp_path))[0].source
    before, trained = source.live_day - timedelta(days=1), ("ml_model_training_fraud", source.training_date)
    days = [[(dag, day) for dag in ("archive_daily", "features_daily_fraud")] for day in (before, source.live_day)]
    assert DAGS == [*days[0], trained, *days[1]]


def test_another_system_gives_a_story_and_nothing_else(
    run: Callable[[Story], tuple[MainJob, DemoResults, Page]],
) -> None:
    began = datetime.now(tz=UTC)
    done, found, page = run(clicks())
    assert (found.system, found.input_name, found.lost) == ("activity", "three days of clicks", 0)
    assert found.started_at >= began
    assert {hop.path for hop in found.hops} == {"history", USER_EVENTS, "clicks", "purchases", "scores", "tiles"}
    shown = {stage.name.split(" (")[0]: stage for stage in found.stages}
    assert (shown["history into the lake"].rows, shown["history into the lake"].figures) == (48, {"rejected": 0})
    assert shown["live day 2026-01-07 at 75 requests/s"].figures["purchases"] == 4
    assert found.latency and found.latency.client.count == 20
    assert found.stages == done.stages.done
    assert found.model and found.model.facts == {"recall_scenario_card_testing": 0.25}
    assert "Activity scores on three days of clicks" in render(found, page)
    assert "so more scores than in life" in found.remarks[0]


def test_what_the_second_act_found_is_in_the_results_and_on_the_page(
    run: Callable[[Story], tuple[MainJob, DemoResults, Page]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_story("fraud", Options(users=60, days=30, data=None, scratch=tmp_path))
    repair = repaired()
    played: list[Path] = []

    def play(act: Second) -> tuple[Repair, list[Hop]]:
        played.append(act.folder)
        assert act.act is made.second
        return repair, [Hop(path="second act", name="answered", expected=9, rows=8)]

    monkeypatch.setattr(Second, "run", play)
    _, found, page = run(made)
    assert played == [tmp_path]
    assert found.repair == repair
    assert found.lost == 1, "its hops count with the others"
    assert [section.title for section in page.sections] == ["Detection", "Decisions", CHANGED, TOLD]
    assert "0.981" in render(found, page)

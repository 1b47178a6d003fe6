"""The recommendation model on a small world: by the truth, its lists are better than the most watched."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.definitions.recommendation import CATEGORIES, FEATURES, IMPRESSIONS, SYSTEM, WATCHED
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.features import training_set
from lamina.lake import layout
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE
from lamina.scoring.load import load
from lamina.scoring.protocol import Scorer
from lamina.training.publish import publish
from lamina.training.train import TrainingPlan
from lamina.worlds.recommendation.population import DEVICES
from lamina.worlds.recommendation.truth import EXAMINED, HOUR_MS, POSITIONS
from lamina.worlds.recommendation.world import RecommendationWorld
from models.recommendation.problem import PROBLEM
from models.recommendation.recipe import RECIPE
from models.recommendation.score import WATCH

DAYS, ROWS = 12, 16_000
START = date(2026, 1, 5)
DAY = START + timedelta(days=DAYS - 1)
PLAN = TrainingPlan(DAY, train_days=5, delay_days=1, test_days=2)
VIEWERS, VIDEOS = 40, 120

Events = dict[str, pa.Table]


@pytest.fixture(scope="module")
def world() -> RecommendationWorld:
    return RecommendationWorld(seed=3, viewers=400, days=DAYS, start=START)


@pytest.fixture(scope="module")
def events(world: RecommendationWorld) -> Events:
    """By source, of all days."""
    days = [world.day(n) for n in range(DAYS)]
    sources = {view.source.name: view.source.topic for view in FEATURES.views}
    return {name: pa.concat_tables(day[topic] for day in days) for name, topic in sources.items()}


@pytest.fixture(scope="module")
def table(world: RecommendationWorld, events: Events, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Some impressions of the days to learn from and to test on, with what was known when the last day was over."""
    truth = pa.concat_tables(world.truth(n) for n in range(DAYS))
    since = world.midnight_ms((PLAN.days.train_first - START).days)
    # A join gives rows in any order.
    shown = events[IMPRESSIONS.name].join(truth, "event_id").filter(pc.field("timestamp") >= since).sort_by("event_id")
    some = np.sort(np.random.default_rng(1).choice(shown.num_rows, ROWS, replace=False))
    found = training_set(shown.take(some), FEATURES, events=events)
    watched = found.pop("watched").to_numpy(bool)
    known = np.where(watched, found["timestamp"] + 5 * 60_000, np.nan)
    found[WATCHED.column], found[LABEL_TIMESTAMP] = watched, known
    lake = tmp_path_factory.mktemp("lake")
    folder = Path(layout.training(str(lake), SYSTEM.name, DAY)) / "features"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(found, preserve_index=False), folder / "part-0.parquet")
    return read_table(str(lake), PROBLEM, DAY, PROBLEM.inputs)


@pytest.fixture(scope="module")
def registry(table: Table, tmp_path_factory: pytest.TempPathFactory) -> MemoryRegistry:
    made = MemoryRegistry(tmp_path_factory.mktemp("registry"))
    said = publish(RECIPE, made, table, PLAN, SYSTEM.min_auc)
    assert said["version"] == "1", "it is good enough by its own record"
    return made


@pytest.fixture(scope="module")
def scorer(registry: MemoryRegistry, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return load(registry.download("recommendation", "1", tmp_path_factory.mktemp("model")))


def test_its_lists_are_better_than_the_most_watched(world: RecommendationWorld, events: Events, scorer: Scorer) -> None:
    """Watches that a list of ten is expected to get, by the truth, on an evening after the days that were learnt."""
    at = world.midnight_ms(DAYS - 1) + 20 * HOUR_MS
    rng = np.random.default_rng(2)
    viewers = np.sort(rng.choice(400, VIEWERS, replace=False))
    videos = np.sort(rng.choice(np.flatnonzero(world.known.videos.there(at, at)), VIDEOS, replace=False))
    viewer, video = np.repeat(viewers, VIDEOS), np.tile(videos, VIEWERS)
    time_ms = np.full(len(viewer), at)
    features = training_set(asked(world, viewer, video, time_ms), FEATURES, events=events).astype(object)
    rows = cast("list[dict[str, Any]]", features.where(features.notna(), None).to_dict("records"))
    chance = world.known.chance(viewer, video, time_ms)
    ours, most = (
        watches(chance, scorer.predict_batch(rows)[WATCH]),
        watches(chance, features["video_views_7d"].to_numpy()),
    )
    best = watches(chance, chance)
    assert 1.3 * most < ours < best, f"{ours:.2f} watches a list, the most watched {most:.2f}, the oracle {best:.2f}"


def asked(
    world: RecommendationWorld, viewer: np.ndarray, video: np.ndarray, time_ms: np.ndarray
) -> list[dict[str, object]]:
    """The events of these videos being shown to these viewers."""
    known, ids = world.known, np.arange(len(viewer))
    devices = known.device(viewer, time_ms)
    return [
        {
            "event_id": f"asked-{i}",
            "request_id": "asked",
            "viewer_id": world.viewer_ids[int(viewer[i])].as_py(),
            "video_id": world.video_ids[int(video[i])].as_py(),
            "channel_id": world.channel_ids[int(known.videos.channel[video[i]])].as_py(),
            "category": CATEGORIES[known.videos.category[video[i]]],
            "position": 0,
            "source": "trending",
            "device": DEVICES[devices[i]],
            "day_part": "evening",
            "timestamp": int(time_ms[i]),
        }
        for i in ids
    ]


def watches(chance: np.ndarray, score: np.ndarray) -> float:
    """Of each viewer's ten videos with the largest scores, on average over the viewers."""
    by_viewer = np.asarray(score, dtype=np.float64).reshape(VIEWERS, VIDEOS)
    shown = np.argsort(-by_viewer, axis=1, kind="stable")[:, :POSITIONS]
    return float((np.take_along_axis(chance.reshape(VIEWERS, VIDEOS), shown, axis=1) * EXAMINED).sum(axis=1).mean())


def test_it_is_better_than_chance_and_becomes_the_champion(table: Table, registry: MemoryRegistry) -> None:
    found = evaluate(PROBLEM, registry, table, DAY, SYSTEM.min_auc)
    assert found.promote and found.candidate is not None
    share = found.positives / found.rows
    assert 0.02 < share < 0.1
    assert found.candidate.metrics["average_precision"] > 2 * share
    names = {part.name for part in found.slices}
    assert {"watched in the last 30 days", "of a followed channel", "uploaded less than a day ago"} <= names
    assert "device mobile" in names


def test_a_score_is_a_probability_that_grows_with_what_is_watched(scorer: Scorer) -> None:
    assert (scorer.system, scorer.outputs) == ("recommendation", (WATCH,))
    stranger = {"category_share": 0.0, "category_watched_now": 0.0, "follows_channel": 0.0, "video_watch_rate_7d": 0.01}
    fan = {"category_share": 0.6, "category_watched_now": 1.0, "follows_channel": 1.0, "video_watch_rate_7d": 0.15}
    assert 0 < 2 * scorer.predict(stranger) < scorer.predict(fan) < 1


def test_its_card_speaks_of_impressions_and_watches(table: Table, registry: MemoryRegistry) -> None:
    evaluate(PROBLEM, registry, table, DAY, SYSTEM.min_auc)
    card = registry.read("recommendation", "1", CARD_FILE)
    said = "Probability that the viewer of a list watches the video within an hour, at the positions at which such a"
    assert f"{said} video was shown" in card
    assert "Nobody is left out of the test" in card
    for word in ("fraud", "transaction", "declined", "purchase"):
        assert word not in card

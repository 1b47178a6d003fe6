"""The activity model on a small world: it learns what can be known of a view, and its card speaks of purchases."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lamina.clock import midnight_ms
from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.definitions.activity import FEATURES, PURCHASED, SYSTEM, USER_EVENTS
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.features import training_set
from lamina.lake import layout
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE
from lamina.scoring.load import load
from lamina.training.publish import publish
from lamina.training.train import TrainingPlan
from lamina.worlds.activity.world import ActivityWorld
from models.activity.problem import PROBLEM
from models.activity.recipe import RECIPE

DAYS = 24
START = date(2026, 1, 5)
DAY = START + timedelta(days=DAYS - 1)
PLAN = TrainingPlan(DAY, train_days=9, delay_days=1, test_days=5)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Views of the days to learn from and to test on, with what was known of them when the last day was over."""
    world = ActivityWorld(seed=3, shoppers=500, days=DAYS, start=START)
    events = pa.concat_tables(world.events(n) for n in range(DAYS))
    truth = pa.concat_tables(world.truth(n) for n in range(DAYS))
    views = events.filter(pc.field("event_type") == "page_view").join(truth, "event_id")
    views = views.filter(pc.field("timestamp") >= midnight_ms(PLAN.days.train_first))
    found = training_set(views, FEATURES, events={USER_EVENTS.name: events})
    bought = found.pop("purchase").to_numpy(bool)
    # A world says whether, not when: an hour later is right for most, and known in time for all but the last views.
    known = np.where(bought, found["timestamp"] + 3_600_000, np.nan)
    found[PURCHASED.column], found[LABEL_TIMESTAMP] = bought, known
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


def test_it_is_better_than_chance_and_becomes_the_champion(table: Table, registry: MemoryRegistry) -> None:
    found = evaluate(PROBLEM, registry, table, DAY, SYSTEM.min_auc)
    assert found.promote and found.candidate is not None
    share = found.positives / found.rows
    assert 0.01 < share < 0.1
    assert found.candidate.metrics["average_precision"] > 1.5 * share
    assert {part.name for part in found.slices} == {
        *("bought nothing in 30 days", "bought in the last 30 days"),
        *("early in a session", "late in a session", "weekend"),
    }


def test_a_score_is_a_probability_that_grows_with_what_was_bought(registry: MemoryRegistry, tmp_path: Path) -> None:
    scorer = load(registry.download("activity", "1", tmp_path))
    assert (scorer.system, scorer.outputs) == ("activity", ("purchase",))
    idle = {"num_purchase_30d": 0.0, "session_page_views": 0.0, "item_heat_1h": 0.0, "hour_of_day": 5.0}
    eager = {"num_purchase_30d": 8.0, "session_page_views": 9.0, "item_heat_1h": 40.0, "hour_of_day": 20.0}
    assert 0 < scorer.predict(idle) < scorer.predict(eager) < 1


def test_its_card_speaks_of_views_and_purchases(table: Table, registry: MemoryRegistry) -> None:
    evaluate(PROBLEM, registry, table, DAY, SYSTEM.min_auc)
    card = registry.read("activity", "1", CARD_FILE)
    assert "Probability that the user of a page view buys its item within a day" in card
    assert "complete 1 days after a page view" in card
    assert "Nobody is left out of the test" in card
    for word in ("fraud", "transaction", "declined"):
        assert word not in card

"""A second system gives a problem and a recipe, and nothing else: a made-up one is trained, published and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.clock import DAY_MS, midnight_ms
from lamina.contracts.aggregates import count, last_k
from lamina.contracts.features import Entity, EventSource, FeatureSet, FeatureView, RequestFeature, hours, seconds
from lamina.contracts.labels import FollowedLabel
from lamina.contracts.served import served_topic
from lamina.contracts.systems import System
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.metrics import Flags, Floats, ranking
from lamina.evaluation.problem import Problem, Words
from lamina.evaluation.read import read_table
from lamina.evaluation.slices import by_value
from lamina.evaluation.table import Table
from lamina.lake import layout
from lamina.registry.deploy import promote
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE
from lamina.scoring import trees
from lamina.training.publish import publish
from lamina.training.recipe import Recipe
from lamina.training.train import TrainingPlan

DAY = date(2025, 3, 28)
ROWS = 3000

VIEWS = EventSource(
    name="views",
    topic="views",
    id="view_id",
    timestamp="seen_at",
    columns={"view_id": "string", "visitor": "string", "price": "double", "shelf": "string", "seen_at": "long"},
)
FEATURES = FeatureSet(
    system="shop",
    request=VIEWS,
    views=(),
    request_features=(
        RequestFeature("price", "field", "price"),
        RequestFeature("shelf", "field", "shelf", categorical=True),
        RequestFeature("hour_of_day", "hour_of_day"),
    ),
    model_features=("price", "shelf", "hour_of_day"),
)
PURCHASES = EventSource(
    name="purchases",
    topic="purchases",
    id="purchase_id",
    timestamp="timestamp",
    columns={"purchase_id": "string", "visitor": "string", "timestamp": "long"},
)
SHOP = System(
    features=FEATURES,
    label=FollowedLabel(source=PURCHASES, column="bought", keys=("visitor",), within=hours(1)),
    served=served_topic("shop"),
)


def figures(rows: Table, score: Floats) -> dict[str, float]:
    return ranking(rows.positive, score) | {"sold": float(rows.columns["price"][rows.positive].sum())}


def slices(rows: Table) -> Iterator[tuple[str, Flags]]:
    yield from by_value("shelf", rows.inputs["shelf"])


PROBLEM = Problem(
    record=SHOP,
    unit="visitor",
    words=Words(
        predicts="Probability that what is seen is bought",
        row="a view",
        positive="purchase",
        positives="purchases",
        negative="idle",
        withheld="views that were hidden",
        unseen="New shelves are scored by analogy.",
        unreported="A purchase elsewhere is not known.",
        left_out="Visitors who have bought are left out.",
        at_threshold=("recall_at_fpr_001",),
    ),
    figures=figures,
    slices=slices,
    known_leave=True,
    columns=("price",),
)
RECIPE = Recipe(
    problem=PROBLEM,
    parameters={
        "xgboost": {"objective": "binary:logistic", "base_score": 0.5, "max_depth": 2, "rounds": 30},
        "lightgbm": {"objective": "binary", "num_leaves": 4, "rounds": 30},
    },
    spaces={"xgboost": {}, "lightgbm": {}},
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Cheap things on the shelf of toys are bought, and that is known an hour later."""
    lake = tmp_path_factory.mktemp("lake")
    rng = np.random.default_rng(0)
    price = rng.gamma(2.0, 20.0, ROWS)
    shelf = rng.choice(np.array(["toys", "books"], dtype=object), ROWS)
    bought = (price < 20) & (shelf == "toys") & (rng.random(ROWS) < 0.7)
    seen_at = midnight_ms(DAY - timedelta(days=6)) + np.sort(rng.integers(0, 7 * DAY_MS, ROWS))
    columns = {
        "view_id": [f"v{i}" for i in range(ROWS)],
        "visitor": [f"someone-{n}" for n in rng.integers(0, 2000, ROWS)],
        "seen_at": seen_at,
        "bought": bought,
        "label_timestamp": pa.array(seen_at + 3_600_000, mask=~bought),
        "price": price,
        "shelf": shelf,
        "hour_of_day": (seen_at % DAY_MS) // 3_600_000 * 1.0,
    }
    folder = Path(layout.training(str(lake), "shop", DAY)) / "features"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "part-0.parquet")
    return read_table(str(lake), PROBLEM, DAY, FEATURES.names)


def test_it_is_trained_published_and_compared_by_its_own_names(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    plan = TrainingPlan(DAY, train_days=3, delay_days=1, test_days=2, negatives_per_positive=0)
    said = publish(RECIPE, registry, table, plan, min_auc=0.8)
    assert said["version"] == "1"
    (version,) = registry.versions("shop")
    assert version.tags["system"] == "shop"

    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert found.promote and found.system == "shop"
    assert found.candidate is not None and found.candidate.metrics["sold"] > 0
    assert {part.name for part in found.slices} == {"shelf toys", "shelf books"}
    assert all("purchase_share" in part.candidate for part in found.slices)
    promote(registry, "shop", "1")
    assert "is the champion already" in evaluate(PROBLEM, registry, table, DAY, min_auc=0.8).reasons[0]

    scorer = trees.load(registry.download("shop", "1", tmp_path / "served"), FEATURES)
    likely = scorer.predict({"price": 5.0, "shelf": "toys"})
    assert likely > 0.5 > 0.1 > scorer.predict({"price": 90.0, "shelf": "books"})


def test_a_problem_need_not_say_more_than_its_record_unit_and_words(table: Table, tmp_path: Path) -> None:
    plain = Problem(record=SHOP, unit="visitor", words=replace(PROBLEM.words, withheld="rows"))
    registry = MemoryRegistry(tmp_path / "registry")
    plan = TrainingPlan(DAY, train_days=3, delay_days=1, test_days=2, negatives_per_positive=0)
    publish(replace(RECIPE, problem=plain), registry, table, plan, min_auc=0.8)
    found = evaluate(plain, registry, table, DAY, min_auc=0.8)
    assert found.candidate is not None
    assert set(found.candidate.metrics) == {
        *("auc", "average_precision", "precision_at_95_recall", "recall_at_fpr_001", "brier", "accuracy")
    }
    assert found.rows > evaluate(PROBLEM, registry, table, DAY, min_auc=0.8).rows, "who has bought is tested, too"
    assert not found.slices


def test_lists_are_for_whoever_reads_them_and_no_input() -> None:
    recent = FeatureView(
        name="recent",
        entity=Entity("visitor", "visitor"),
        source=VIEWS,
        owner="shop",
        aggregates=(count("views"), last_k("shelf", "last_shelves", k=3)),
        windows=(hours(1),),
        resolution=seconds(1),
    )
    shop = replace(SHOP, features=replace(FEATURES, views=(recent,)))
    assert "last_shelves_1h" in shop.features.names
    assert replace(PROBLEM, record=shop).inputs == ("views_1h", *FEATURES.names)


def test_its_card_speaks_of_what_it_is_about(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    publish(
        RECIPE,
        registry,
        table,
        TrainingPlan(DAY, train_days=3, delay_days=1, test_days=2, calibrate=False),
        min_auc=0.5,
    )
    card = registry.read("shop", "1", CARD_FILE)
    assert "Probability that what is seen is bought" in card
    assert "complete 1 days after a view" in card
    assert "| slice | rows | purchases |" in card
    assert "of idle rows of this test" in card
    for word in ("fraud", "transaction", "Money"):
        assert word not in card

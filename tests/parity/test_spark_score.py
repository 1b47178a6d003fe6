"""Scores that Spark writes for a day equal those that serving gives the same features, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.small_model import train_small_model
from jobs.spark.score import WrongModel, build, chosen
from jobs.spark.training_set import RowsMissing
from lamina.definitions import load as load_features
from lamina.definitions.fraud import FEATURES
from lamina.lake import layout
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER, ModelVersion, RegistryError
from lamina.scoring.frames import FrameScorer
from lamina.scoring.load import load
from tests.small_network import write_small_network
from tests.training_sets import DAY, training_columns, write_training_set
from tests.unit.serving.shop import add_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """With the model fraud, version 1 the champion, and a network of another system."""
    made = MemoryRegistry(tmp_path / "registry")
    for seed, alias in ((7, CHAMPION), (8, None)):
        train_small_model(tmp_path / str(seed) / MODEL_FOLDER, seed=seed, trees=10)
        add_model(made, "fraud", tmp_path / str(seed), alias)
    write_small_network(tmp_path / "network" / MODEL_FOLDER)
    add_model(made, "purchase", tmp_path / "network")
    return made


def lake_of(folder: Path) -> str:
    """A lake with 42 rows of features, of which some are missing."""
    columns = training_columns(per_day=2)
    rows = len(columns["timestamp"])
    columns["merchant_id"] = np.array([f"m{i % 5}" for i in range(rows)], dtype=object)
    for name in ("max_txn_amount", "avg_txn_amount", "amount"):
        columns[name] = pa.array(columns[name], mask=np.arange(rows) % 3 == 0)
    columns["device_type"] = pa.array(columns["device_type"], mask=np.arange(rows) % 4 == 0)
    return write_training_set(str(folder / "lake"), columns=columns)


def test_the_lake_is_scored_as_requests_are(spark: SparkSession, registry: MemoryRegistry, tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    features = pq.read_table(f"{layout.training(lake, 'fraud', DAY)}/features").to_pylist()

    def scored(version: str) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
        found: ModelVersion = chosen(registry, "fraud", version)
        folder = registry.download("fraud", found.version, tmp_path / f"download-{found.version}")
        counts = build(spark, lake, FEATURES, DAY, found, folder)
        written = pq.read_table(layout.predictions(lake, "fraud", DAY)).to_pylist()
        assert (counts["rows"], counts["version"]) == (len(features), found.version)
        scorer = load(folder)
        return (
            {row["transaction_id"]: row for row in written},
            {row["transaction_id"]: scorer.predict(row) for row in features},
        )

    written, online = scored(CHAMPION)
    assert {key: row["score"] for key, row in written.items()} == pytest.approx(online, abs=1e-9)
    assert len(set(online.values())) > 5
    given = {row["transaction_id"]: row for row in features}
    for key, row in written.items():
        assert (row["model"], row["version"]) == ("fraud", "1")
        assert all(row[name] == given[key][name] for name in ("user_id", "merchant_id", "timestamp"))
    again, _ = scored(CHAMPION)
    assert again == written
    other, expected = scored("2")
    assert {key: row["score"] for key, row in other.items()} == pytest.approx(expected, abs=1e-9)
    assert {row["version"] for row in other.values()} == {"2"}
    assert [p.name for p in Path(layout.predictions(lake, "fraud", DAY)).parent.iterdir()] == [DAY.isoformat()]


def test_what_is_no_finite_number_is_not_written(
    spark: SparkSession, registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of some rows they have none, as in serving; of all rows the model has failed and nothing is replaced."""
    lake = lake_of(tmp_path)
    found = chosen(registry, "fraud", CHAMPION)
    folder = registry.download("fraud", found.version, tmp_path / "download")

    def broken(divisor: int) -> Any:
        """What stands for `FrameScorer`: every so many scores are none. Travels to the workers by value."""

        def make(*given: Any) -> Any:
            right = FrameScorer(*given)

            def scored(batches: Any) -> Any:
                from lamina.scoring.trees import TreesScorer

                score = TreesScorer.score

                def holes(scorer: TreesScorer, matrix: Any) -> Any:
                    made = score(scorer, matrix)
                    made[::divisor] = np.nan
                    return made

                TreesScorer.score = holes  # type: ignore[method-assign,assignment]
                try:
                    yield from right(batches)
                finally:
                    TreesScorer.score = score  # type: ignore[method-assign]

            return scored

        return make

    monkeypatch.setattr("jobs.spark.score.FrameScorer", broken(2))
    counts = build(spark, lake, FEATURES, DAY, found, folder)
    scores = pq.read_table(layout.predictions(lake, "fraud", DAY)).column("score")
    assert 0 < counts["failed"] == scores.null_count < counts["rows"]
    assert np.isfinite(scores.drop_null().to_numpy()).all()
    monkeypatch.setattr("jobs.spark.score.FrameScorer", broken(1))
    with pytest.raises(WrongModel, match=r"no finite score to any of \d+ rows: nothing was replaced"):
        build(spark, lake, FEATURES, DAY, found, folder)
    assert pq.read_table(layout.predictions(lake, "fraud", DAY)).column("score").equals(scores)


def test_what_is_wrong_is_named(spark: SparkSession, registry: MemoryRegistry, tmp_path: Path) -> None:
    network = tmp_path / "network" / MODEL_FOLDER
    found = chosen(registry, "purchase", "1")
    with pytest.raises(RowsMissing, match=r"run jobs\.spark\.training_set"):
        build(spark, str(tmp_path), load_features("activity"), DAY, found, network)
    with pytest.raises(WrongModel, match="--system activity"):
        build(spark, lake_of(tmp_path), FEATURES, DAY, found, network)
    with pytest.raises(RegistryError, match=r"alias challenger.*fraud, purchase.*lamina models promote fraud"):
        chosen(registry, "fraud", "challenger")
    with pytest.raises(RegistryError, match="has no version 9"):
        chosen(registry, "fraud", "9")

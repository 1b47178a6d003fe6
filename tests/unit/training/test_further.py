"""What drift is measured against where a blend or the online regression serves."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.definitions import record
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.monitoring.drift.reference import REFERENCE_FILE, load_reference
from lamina.monitoring.drift.report import DriftReport
from lamina.monitoring.drift.watch import watch
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, Kind, TrainingRun, trained_for
from lamina.training.blend import BlendPlan, publish_blend
from lamina.training.learn import learn_days, publish_online
from lamina.training.train import TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from models.fraud.score import load
from tests.training_sets import DAY, training_columns, write_training_set
from tests.unit.monitoring.drift.answers import answer, put

BLEND = BlendPlan(DAY)
EARLY = TrainingPlan(DAY - timedelta(days=10), train_days=4, test_days=3, gap_days=0, calibrate=False)
END = DAY + timedelta(days=7)
SERVED = 600
"""Answers of each day."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


@pytest.fixture(scope="module")
def registry(table: Table, tmp_path_factory: pytest.TempPathFactory) -> MemoryRegistry:
    """A version of either kind, made of the same training set."""
    made = MemoryRegistry(tmp_path_factory.mktemp("registry"))
    trained = train(RECIPE, table, EARLY)
    for _ in range(2):
        folder = tmp_path_factory.mktemp("run")
        trained.save(folder / MODEL_FOLDER)
        run = made.record(TrainingRun("fraud", EARLY.day, folder))
        made.register("fraud", run, {"logical_date": EARLY.day.isoformat()})
    publish_blend(PROBLEM, made, table, BLEND, min_auc=0.5)
    kept = learn_days(PROBLEM, table, DAY, None, delay_days=7)
    publish_online(PROBLEM, made, table, DAY, kept, 0.5, delay_days=7)
    return made


def version_of(registry: MemoryRegistry, kind: Kind) -> str:
    found = trained_for(registry, "fraud", DAY, kind)
    assert found is not None
    return found.version


def between(table: Table, first: date, last: date) -> int:
    days = [midnight_ms(day) // DAY_MS for day in (first, last)]
    return int(((table.day >= days[0]) & (table.day <= days[1])).sum())


def test_the_reference_is_of_the_rows_it_was_made_of_and_of_its_own_scores(
    registry: MemoryRegistry, table: Table, tmp_path: Path
) -> None:
    split = BLEND.split
    weighed = (split.train_first, split.train_last)
    learnt = (DAY - timedelta(days=27), split.train_last)
    for kind, days in ((Kind.BLEND, weighed), (Kind.ONLINE, learnt)):
        version = version_of(registry, kind)
        found = load_reference(registry.read("fraud", version, REFERENCE_FILE), REFERENCE_FILE)
        assert found.features["amount"].distribution().count == between(table, *days)
        served = table.take(table.day >= midnight_ms(split.test_first) // DAY_MS)
        assert found.scores.distribution().count == len(served)
        scorer = load(registry.download("fraud", version, tmp_path / kind))
        scores = scorer.predict_columns(served.inputs, len(served))["score"]
        assert found.scores.distribution().values.max() == pytest.approx(scores.max())
        assert set(found.features) == set(scorer.names)


@pytest.mark.parametrize("kind", [Kind.BLEND, Kind.ONLINE])
def test_drift_is_told_where_it_serves_and_only_where_there_is_some(
    registry: MemoryRegistry, tmp_path: Path, kind: Kind
) -> None:
    version = version_of(registry, kind)
    scorer = load(registry.download("fraud", version, tmp_path / "served"))
    drawn = training_columns(per_day=SERVED, seed=5)

    def reported(lake: Path, times: float) -> DriftReport:
        columns: dict[str, Any] = {name: drawn[name] for name in scorer.names}
        columns["amount"] = columns["amount"] * times
        scores = scorer.predict_columns(columns, 21 * SERVED)["score"]
        for n in range(7):
            day = day_of(midnight_ms(END) - (n + 1) * DAY_MS)
            rows = []
            for i in range(n * SERVED, (n + 1) * SERVED):
                features = {name: of.item(i) if of.dtype != object else of[i] for name, of in columns.items()}
                at = midnight_ms(day) + i % SERVED * (DAY_MS // SERVED)
                rows.append(answer(i, at, features, float(scores[i]), version))
            put(lake, day, rows)
        end_ms = midnight_ms(END)
        return watch(record("fraud"), registry, str(lake), end_ms=end_ms, known_before_ms=end_ms).report

    same = reported(tmp_path / "same", 1.0)
    assert (same.model_version, same.no_verdict) == (version, "")
    assert not same.alerts, same.alerts
    assert {finding.subject for finding in same.findings} > {"amount", "score"}
    doubled = reported(tmp_path / "doubled", 2.0)
    assert {"amount", "score"} <= {alert.subject for alert in doubled.alerts}

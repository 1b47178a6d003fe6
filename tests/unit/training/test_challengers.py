from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.evaluation.read import read_table
from lamina.evaluation.table import TrainingSetError
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, Kind, TrainingRun, trained_for
from lamina.training.challengers import blend_command, learn_command
from lamina.training.learn import STATE
from lamina.training.train import TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from tests.training_sets import DAY, training_columns, write_training_set

AT = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return write_training_set(str(tmp_path / "lake"))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryRegistry:
    found = MemoryRegistry(tmp_path / "registry")
    monkeypatch.setattr("lamina.registry.mlflow.MlflowRegistry", lambda uri: found)
    return found


def test_learning_a_day_again_leaves_one_version_and_the_same_state(
    lake: str, registry: MemoryRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    main = learn_command(PROBLEM)
    states = []
    for _ in range(2):
        main(date=AT, lake_url=lake, min_auc=0.5)
        (file,) = Path(lake).rglob(STATE)
        states.append(file.read_text())
    assert states[0] == states[1]
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["metrics"] == second["metrics"]
    found = trained_for(registry, "fraud", DAY)
    assert found is not None
    assert found.version == second["version"]
    assert [v.version for v in registry.versions("fraud") if "superseded_by" not in v.tags] == [second["version"]]


def test_blending_takes_past_versions_and_a_rerun_takes_the_place_of_the_first(
    lake: str, registry: MemoryRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(lake, PROBLEM, DAY, FEATURES.names)
    early = TrainingPlan(DAY - timedelta(days=10), train_days=4, test_days=3, gap_days=0, calibrate=False)
    trained = train(RECIPE, table, early)
    for number in range(2):
        folder = tmp_path / f"run-{number}"
        trained.save(folder / MODEL_FOLDER)
        run = registry.record(TrainingRun("fraud", early.day, folder))
        registry.register("fraud", run, {"logical_date": early.day.isoformat()})
    main = blend_command(PROBLEM)
    for _ in range(2):
        main(date=AT, lake_url=lake, min_auc=0.5)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["members"] == second["members"] == {"1": 0.5, "2": 0.5}
    assert trained_for(registry, "fraud", DAY, Kind.TRAINING) is None
    standing = [v.version for v in registry.versions("fraud") if "superseded_by" not in v.tags]
    assert standing == [second["version"], "2", "1"]


def test_a_blend_of_a_past_day_has_no_version_of_a_later_one(
    lake: str, registry: MemoryRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(lake, PROBLEM, DAY, FEATURES.names)
    early = TrainingPlan(DAY - timedelta(days=10), train_days=4, test_days=3, gap_days=0, calibrate=False)
    trained = train(RECIPE, table, early)
    for number, later in enumerate((0, 0, 11)):
        folder = tmp_path / f"run-{number}"
        day = early.day + timedelta(days=later)
        replace(trained, spec=trained.spec.model_copy(update={"logical_date": day})).save(folder / MODEL_FOLDER)
        run = registry.record(TrainingRun("fraud", day, folder))
        registry.register("fraud", run, {"logical_date": day.isoformat()})
    blend_command(PROBLEM)(date=AT, lake_url=lake, min_auc=0.5)
    assert set(json.loads(capsys.readouterr().out)["members"]) == {"1", "2"}


def test_a_version_that_is_not_good_enough_leaves_none_of_an_earlier_run(
    lake: str, registry: MemoryRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    for least in (0.5, 1.0):
        learn_command(PROBLEM)(date=AT, lake_url=lake, min_auc=least)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["version"], second["version"]) == ("1", None)
    assert trained_for(registry, "fraud", DAY, Kind.ONLINE) is None


@pytest.mark.parametrize("command", [blend_command, learn_command])
def test_too_few_rows_are_said_and_no_failure(
    tmp_path: Path, registry: MemoryRegistry, capsys: pytest.CaptureFixture[str], command: Callable[..., Any]
) -> None:
    columns = training_columns()
    honest = columns | {"is_fraud": np.zeros(len(columns["timestamp"]), bool)}
    command(PROBLEM)(date=AT, lake_url=write_training_set(str(tmp_path / "lake"), columns=honest), min_auc=0.5)
    said = json.loads(capsys.readouterr().out)
    assert (said["run_id"], said["version"]) == (None, None)
    assert "0 known frauds: both kinds are needed" in said["reason"]
    assert registry.versions("fraud") == []


def test_no_training_set_is_one(tmp_path: Path, registry: MemoryRegistry) -> None:
    with pytest.raises(TrainingSetError, match="is not there: run python -m jobs"):
        learn_command(PROBLEM)(date=AT, lake_url=str(tmp_path), min_auc=0.5)

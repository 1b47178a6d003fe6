"""The registry in MLflow by the contract of registries, and what else it asks of MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.registry import mlflow as module
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import ModelRegistry, RegistryError
from tests.contract.model_registry import DAY, RegistryContract, name, recorded, registered
from tests.unit.registry.fake_mlflow import STARTED_MS, Client, MlflowException

__all__ = ["name"]


@pytest.fixture
def registry(client: Client) -> MlflowRegistry:
    return MlflowRegistry("http://m:5000")


class TestMlflowRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, client: Client) -> ModelRegistry:
        return MlflowRegistry("http://m:5000")

    def delete(self, registry: ModelRegistry, name: str, version: str) -> None:
        assert isinstance(registry, MlflowRegistry)
        registry.client.delete_model_version(name, version)


def test_a_run_shows_what_it_was_made_with(registry: MlflowRegistry, client: Client, tmp_path: Path) -> None:
    run = client.runs[recorded(registry, "fraud", tmp_path)]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "fraud-2018-08-21")
    assert run.info.experiment_id == client.experiments["fraud"]
    assert run.data.params == {"depth": "3"}
    assert run.logged == [("auc", 0.9, STARTED_MS, 0)]
    assert run.data.tags == {"system": "fraud", "logical_date": "2018-08-21", "git_commit": "abc"}
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"model", "notes.txt"}


def test_a_run_that_could_not_be_written_is_a_failed_one(
    registry: MlflowRegistry, client: Client, tmp_path: Path
) -> None:
    client.failing["log_artifacts"] = MlflowException("disk is full\nat the server")
    with pytest.raises(RegistryError, match=r"could not record the training of fraud for 2018-08-21: disk is full\. "):
        recorded(registry, "fraud", tmp_path)
    assert [run.info.status for run in client.runs.values()] == ["FAILED"]


def test_runs_of_other_days_and_systems_stay(registry: MlflowRegistry, client: Client, tmp_path: Path) -> None:
    old = [recorded(registry, "fraud", tmp_path) for _ in range(5)]
    recorded(registry, "ranking", tmp_path)
    new = recorded(registry, "fraud", tmp_path)
    assert registry.supersede("fraud", DAY, by=new) == old
    gone = [run_id for run_id, run in client.runs.items() if run.info.lifecycle_stage == "deleted"]
    assert gone == old


@pytest.mark.parametrize("code", ["ABORTED", "TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"])
@pytest.mark.parametrize(
    "method", ["create_registered_model", "create_experiment", "get_model_version_by_alias", "search_model_versions"]
)
def test_a_failure_is_told_with_whom_to_ask(
    registry: MlflowRegistry, client: Client, tmp_path: Path, method: str, code: str
) -> None:
    client.failing[method] = MlflowException("it broke", code)
    with pytest.raises(RegistryError, match=r"MLflow at http://m:5000 could not .*: it broke\. .*LAMINA_MLFLOW_URI"):
        registered(registry, "fraud", tmp_path)
        registry.alias("fraud", "champion")


def test_all_pages_are_read(
    registry: MlflowRegistry, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for system in ("b", "a", "c"):
        for _ in range(3):
            registered(registry, system, tmp_path)
    assert registry.names() == ["a", "b", "c"]
    assert [v.version for v in registry.versions("a")] == ["3", "2", "1"]


def test_a_name_that_others_gave_breaks_nobody(registry: MlflowRegistry, client: Client, tmp_path: Path) -> None:
    run_id = recorded(registry, "fraud", tmp_path)
    for foreign in ("z'b", "a'b"):
        client.create_registered_model(foreign)
        client.create_model_version(foreign, "x", run_id=run_id, tags={})
    assert [(v.name, v.version) for v in registry.versions("a'b")] == [("a'b", "1")]
    assert registry.versions("m'b") == []

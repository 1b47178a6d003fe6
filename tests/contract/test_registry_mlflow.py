from __future__ import annotations

from pathlib import Path

import pytest

from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import ModelRegistry, RegistryError
from tests.contract.model_registry import RegistryContract, name, recorded

__all__ = ["name"]


@pytest.mark.services
class TestMlflowRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, mlflow_uri: str) -> ModelRegistry:
        return MlflowRegistry(mlflow_uri)

    def delete(self, registry: ModelRegistry, name: str, version: str) -> None:
        assert isinstance(registry, MlflowRegistry)
        registry.client.delete_model_version(name, version)

    @pytest.mark.parametrize("foreign", ["a'b", 'a"b', "a'b\"c", "a b", "100%", "a_b", "a\\b"])
    def test_a_name_that_others_gave_breaks_nobody(
        self, registry: ModelRegistry, mlflow_uri: str, name: str, tmp_path: Path, foreign: str
    ) -> None:
        from mlflow import MlflowClient

        client, called = MlflowClient(mlflow_uri), f"{name}{foreign}"
        client.create_registered_model(called)
        run_id = recorded(registry, name, tmp_path)
        client.create_model_version(called, f"{client.get_run(run_id).info.artifact_uri}/model", run_id=run_id)
        assert called in registry.names()
        assert [(v.name, v.version) for v in registry.versions(called)] == [(called, "1")]
        assert [registry.versions(each) for each in registry.names()]
        client.delete_registered_model(called)

    def test_a_run_shows_what_it_was_made_with(self, mlflow_uri: str, name: str, tmp_path: Path) -> None:
        from mlflow import MlflowClient

        run_id = recorded(MlflowRegistry(mlflow_uri), name, tmp_path)
        client = MlflowClient(mlflow_uri)
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.params == {"depth": "3"}
        assert run.data.metrics == {"auc": 0.9}
        assert {"system": name, "logical_date": "2018-08-21", "git_commit": "abc"}.items() <= run.data.tags.items()
        assert {file.path for file in client.list_artifacts(run_id)} == {"model", "notes.txt"}

    def test_a_server_that_is_away_is_named(self, name: str) -> None:
        with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9 could not list the versions"):
            MlflowRegistry("http://127.0.0.1:9").versions(name)

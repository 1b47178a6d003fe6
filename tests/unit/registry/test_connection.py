from __future__ import annotations

from pathlib import Path

import pytest

from lamina.registry.connection import MlflowConnection
from tests.unit.registry import fake_mlflow
from tests.unit.registry.fake_mlflow import MlflowException


def test_a_lost_server_is_heard_of_within_a_minute_and_a_half(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client, settings = fake_mlflow.install(monkeypatch, tmp_path)
    assert MlflowConnection("http://m:5000").client is client
    tries = 1 + settings["MLFLOW_HTTP_REQUEST_MAX_RETRIES"].value
    assert (tries, tries * settings["MLFLOW_HTTP_REQUEST_TIMEOUT"].value) == (3, 90)
    assert settings["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"].value is False


def test_an_experiment_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client, _ = fake_mlflow.install(monkeypatch, tmp_path)
    connection = MlflowConnection("http://m:5000")
    first, other, again = (connection.experiment(name) for name in ("fraud", "ranking", "fraud"))
    assert first == again != other
    assert client.experiments == {"fraud": first, "ranking": other}


def test_one_that_somebody_else_makes_meanwhile_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client, _ = fake_mlflow.install(monkeypatch, tmp_path)

    def too_late(name: str) -> str:
        client.experiments[name] = "theirs"
        raise MlflowException(f"{name} is there", "".join(("RESOURCE_", "ALREADY_EXISTS")))

    monkeypatch.setattr(client, "create_experiment", too_late)
    assert MlflowConnection("http://m:5000").experiment("fraud") == "theirs"


@pytest.mark.parametrize("code", ["ABORTED", "TEMPORARILY_UNAVAILABLE"])
def test_one_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    client, _ = fake_mlflow.install(monkeypatch, tmp_path)
    client.failing["create_experiment"] = MlflowException("no", code)
    with pytest.raises(MlflowException, match="no"):
        MlflowConnection("http://m:5000").experiment("fraud")

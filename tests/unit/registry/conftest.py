from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.registry import fake_mlflow
from tests.unit.registry.fake_mlflow import Client


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    """A client of an MLflow in memory, which takes the real one's place."""
    return fake_mlflow.install(monkeypatch, tmp_path / "mlflow")[0]

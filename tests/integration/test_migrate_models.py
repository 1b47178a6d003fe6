"""A model that the version before has registered, recorded, led over on a real MLflow."""

from __future__ import annotations

import json
import shutil
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from lamina.migrations.label_versions import said_before
from lamina.migrations.reworded_models import reworded_models
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import CHAMPION, TrainingRun
from lamina.settings import ROOT
from models.fraud.score import load

pytestmark = pytest.mark.services

RECORDED = ROOT / "tests" / "data" / "models" / "labels-of-version-1"
NAME = "fraud-before"
DAY = date(2025, 1, 1)


def test_the_champion_is_a_version_that_scores_as_it_did(mlflow_uri: str, tmp_path: Path) -> None:
    registry = MlflowRegistry(mlflow_uri)
    artefacts = tmp_path / "artefacts"
    shutil.copytree(RECORDED, artefacts)
    (artefacts / "model_card.md").write_text("# its card\n")
    run = registry.record(TrainingRun(NAME, DAY, artefacts))
    old = registry.register(NAME, run, {"logical_date": str(DAY)})
    registry.set_alias(NAME, CHAMPION, old.version)

    def pending() -> list[str]:
        tasks = reworded_models(registry, partial(said_before, one_label=True), ("model_card.md", "none.md"))
        for task in tasks:
            task.apply()
        return [task.what for task in tasks if NAME in task.what]

    (what,) = pending()
    assert what.startswith(f"register version {old.version} of {NAME} (champion) anew")
    champion = registry.alias(NAME, CHAMPION)
    assert champion is not None
    assert champion.tags == {"logical_date": str(DAY), "migrated_from": old.version}
    assert registry.read(NAME, champion.version, "model_card.md") == "# its card\n"
    scorer = load(registry.download(NAME, champion.version, tmp_path / "after"))
    for row in json.loads((RECORDED / "scored.json").read_text()):
        assert scorer.predict(row["features"]) == row["score"]
    assert pending() == []

"""A model that the version before has trained and registered, recorded, led over to the words of today."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

import orjson
import pytest

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.migrations.label_versions import said_before
from lamina.migrations.reworded_models import reworded_models
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, PREVIOUS, TrainingRun
from lamina.settings import ROOT
from models.fraud.score import load

RECORDED = ROOT / "tests" / "data" / "models" / "labels-of-version-1"
BOTH = partial(said_before, one_label=True)
DAY = date(2025, 1, 1)


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """With the recorded model as version 1, the champion, and as version 2, which nobody uses."""
    made = MemoryRegistry(tmp_path / "registry")
    artefacts = tmp_path / "artefacts"
    shutil.copytree(RECORDED, artefacts)
    (artefacts / "model_card.md").write_text("# its card\n")
    for _ in range(2):
        made.register("fraud", made.record(TrainingRun("fraud", DAY, artefacts)), {"logical_date": str(DAY)})
    made.set_alias("fraud", CHAMPION, "1")
    made.set_alias("fraud", "mine", "1")
    return made


def test_it_scores_as_it_did_and_keeps_aliases_tags_and_card(registry: MemoryRegistry, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="changed"):
        load(registry.download("fraud", "1", tmp_path / "before"))
    (task,) = reworded_models(registry, BOTH, ("model_card.md", "never-made.md"))
    assert task.what.startswith("register version 1 of fraud (champion, mine) anew, with the words of today for ")
    task.apply()
    champion = registry.alias("fraud", CHAMPION)
    assert champion is not None
    assert (champion.version, champion.aliases) == ("3", ("champion", "mine"))
    assert champion.tags == {"logical_date": str(DAY), "migrated_from": "1"}
    assert registry.read("fraud", "3", "model_card.md") == "# its card\n"
    scorer = load(registry.download("fraud", "3", tmp_path / "after"))
    for row in json.loads((RECORDED / "scored.json").read_text()):
        assert scorer.predict(row["features"]) == row["score"]
    assert reworded_models(registry, BOTH) == [], "a second run finds nothing to do"


def test_a_run_that_was_ended_in_its_middle_registers_nothing_twice(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = reworded_models(registry, BOTH)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_alias", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            task.apply()
    (again,) = reworded_models(registry, BOTH)
    again.apply()
    assert [v.version for v in registry.versions("fraud")] == ["3", "2", "1"]
    assert registry.alias("fraud", CHAMPION) == registry.versions("fraud")[0]


def test_a_model_whose_inputs_mean_something_else_is_to_be_trained_anew(registry: MemoryRegistry) -> None:
    assert reworded_models(registry, partial(said_before, one_label=False)) == []


def test_models_of_others_and_of_today_are_left_alone(registry: MemoryRegistry, tmp_path: Path) -> None:
    (task,) = reworded_models(registry, BOTH)
    task.apply()
    spec = orjson.loads((RECORDED / "model" / "spec.json").read_bytes())
    for name, changed in {
        "theirs": {"system": "of-somebody-else"},
        "gone": {"inputs": [{"name": "no_longer_defined", "meaning": "what it was"}]},
    }.items():
        folder = tmp_path / name / "model"
        folder.mkdir(parents=True)
        (folder / "spec.json").write_bytes(orjson.dumps(spec | changed))
        registry.register(name, registry.record(TrainingRun(name, DAY, folder.parent)), {})
        registry.set_alias(name, PREVIOUS, "1")
    empty = tmp_path / "empty" / "model"
    empty.mkdir(parents=True)
    (empty / "weights.bin").write_bytes(b"")
    registry.register("empty", registry.record(TrainingRun("empty", DAY, empty.parent)), {})
    registry.set_alias("empty", CHAMPION, "1")
    assert reworded_models(registry, BOTH) == []


def test_nothing_is_asked_of_features_that_say_what_they_said(registry: MemoryRegistry) -> None:
    asked = []

    def said(features: FeatureSet, name: str) -> Sequence[str]:
        asked.append(name)
        return BOTH(features, name)

    assert len(reworded_models(registry, said)) == 1
    assert "amount" not in asked and "device_type" in asked

"""`lamina models` as somebody new would use it: every command on a registry in memory, and what is said of slips."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.commands import models
from lamina.errors import LaminaError
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, TrainingRun


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryRegistry:
    """Three versions of fraud, none of which serves."""
    made = MemoryRegistry(tmp_path / "registry")
    for n in (1, 2, 3):
        folder = tmp_path / f"run-{n}" / MODEL_FOLDER
        folder.mkdir(parents=True)
        spec: dict[str, object] = {"system": "fraud", "metrics": {"auc": 0.8 + n / 100}, "inputs": [], "seed": n}
        (folder / "spec.json").write_text(json.dumps(spec))
        (folder.parent / "model_card.md").write_text(f"# Model card {n}\n")
        run_id = made.record(TrainingRun("fraud", date(2025, 1, n), folder.parent))
        made.register("fraud", run_id, {"logical_date": f"2025-01-0{n}"})
    monkeypatch.setattr(models, "_registry", lambda: made)
    return made


def said(*arguments: str) -> str:
    done = CliRunner().invoke(models.app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_version_goes_from_listed_to_serving_and_back(registry: MemoryRegistry) -> None:
    assert [line.split()[1] for line in said("list").splitlines()[1:]] == ["3", "2", "1"]
    assert "undoes" not in said("promote", "fraud", "1")
    assert "lamina models rollback fraud` undoes it" in said("promote", "fraud", "2")
    assert "already" in said("promote", "fraud", "2")
    assert "champion" in said("list", "fraud") and "previous" in said("list", "fraud")
    assert "version 1 again" in said("rollback", "fraud")
    assert '"auc": 0.81' in said("show", "fraud")
    assert "Model card 2" in said("card", "fraud", "previous")


def test_a_challenger_is_named_compared_and_promoted(registry: MemoryRegistry) -> None:
    said("promote", "fraud", "1")
    assert "model: challenger" in said("challenge", "fraud", "3")
    found = said("compare", "fraud", "challenger")
    assert "version 3 (challenger)" in found and "version 1 (champion)" in found
    assert ["metrics.auc", "0.83", "0.81"] in [line.split() for line in found.splitlines()]
    said("promote", "fraud", "challenger")
    held = {version.version: version.aliases for version in registry.versions("fraud")}
    assert held == {"3": ("champion",), "2": (), "1": ("previous",)}
    said("challenge", "fraud", "2")
    assert "no challenger" in said("challenge", "fraud", "--drop")
    assert registry.alias("fraud", "challenger") is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "fruad"), r"no model 'fruad'; there are fraud"),
        (("show", "fruad"), r"no model 'fruad'; there are fraud"),
        (("rollback", "fruad"), r"no model 'fruad'"),
        (("promote", "fruad", "1"), r"no model 'fruad'"),
        (("show", "fraud", "9"), r"has no version 9; it has 3, 2, 1"),
        (("compare", "fraud", "1", "9"), r"has no version 9"),
        (("promote", "fraud", "9"), r"has no version 9"),
        (("show", "fraud"), r"no version of 'fraud' has the alias 'champion'; the aliases are none.*models promote"),
        (("compare", "fraud", "challenger"), r"alias 'challenger'"),
        (("card", "fraud", "newest"), r"alias 'newest'"),
        (("rollback", "fraud"), r"lamina models promote fraud VERSION"),
        (("challenge", "fraud", "9"), r"has no version 9"),
    ],
)
def test_slips_name_what_there_is(registry: MemoryRegistry, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(LaminaError, match=words):
        said(*arguments)


@pytest.mark.parametrize("arguments", [("challenge", "fraud"), ("challenge", "fraud", "1", "--drop")])
def test_a_challenge_is_made_or_dropped(registry: MemoryRegistry, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(models.app, list(arguments))
    assert done.exit_code == 2


def test_an_empty_registry_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_registry", lambda: MemoryRegistry(tmp_path))
    assert "python -m models.fraud.train" in said("list")

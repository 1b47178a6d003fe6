"""From a training set in the lake to a champion that scores: the three commands of the DAG, on a real MLflow server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lamina.cli import app
from lamina.lake import layout
from lamina.registry import deploy
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import CARD_FILE, CHAMPION, PREVIOUS
from models.fraud import evaluate, train
from models.fraud.score import load
from serving.stages.model import ServedModel
from tests.training_sets import DAY, training_columns, write_training_set

pytestmark = pytest.mark.services

LATER = DAY + timedelta(days=1)


@pytest.fixture
def environment(mlflow_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRegistry]:
    """Settings of the commands by variables. The session's server is shared: what serves there is put back."""
    registry = MlflowRegistry(mlflow_uri)
    before = {alias: registry.alias("fraud", alias) for alias in (CHAMPION, PREVIOUS)}
    for alias in before:
        registry.drop_alias("fraud", alias)
    monkeypatch.setenv("LAMINA_MLFLOW_URI", mlflow_uri)
    monkeypatch.setenv("LAMINA_LAKE_URL", str(tmp_path / "lake"))
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path))
    yield registry
    for alias, version in before.items():
        registry.drop_alias("fraud", alias)
        if version is not None:
            registry.set_alias("fraud", alias, version.version)


def run(module: ModuleType, *arguments: str) -> dict[str, Any]:
    """What a command says, run in this process: importing its libraries anew each time would take most of the test."""
    command = typer.Typer()
    command.command()(module.main)
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def lamina(*arguments: str) -> str:
    """What `lamina models` says."""
    done = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def write_clean_parity(lake: Path) -> None:
    """What the parity job leaves behind when all is well."""
    folder = Path(layout.parity(str(lake), "fraud", DAY))
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"compared": 100, "mismatches": 0}))


def chain(day: date, min_auc: float) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Answers of the three commands for `day`."""
    on = ("--date", day.isoformat())
    trained = run(train, *on, "--min-auc", str(min_auc), "--no-calibrate")
    evaluated = run(evaluate, *on, "--min-auc", str(min_auc))
    return trained, evaluated, run(deploy, "--system", "fraud", *on)


def test_a_better_model_comes_to_serve_and_a_rollback_returns(environment: MlflowRegistry, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    wrong = training_columns(DAY)
    for name in ("is_fraud", "label_timestamp", "scenario"):
        wrong[name] = wrong[name][::-1]  # labels that belong to other rows
    write_training_set(lake, DAY, wrong)
    write_training_set(lake, LATER)

    poor, _, deployed = chain(DAY, min_auc=0.0)
    assert (deployed["decision"], deployed["champion"]) == ("promoted", poor["version"])
    good, evaluated, deployed = chain(LATER, min_auc=0.8)
    assert evaluated["promote"]
    assert (deployed["decision"], deployed["champion"]) == ("kept", poor["version"])
    assert "there is no parity report" in deployed["reasons"][-1]
    assert deployed["challenger"] == good["version"]
    write_clean_parity(tmp_path / "lake")
    deployed = run(deploy, "--system", "fraud", "--date", LATER.isoformat())
    assert evaluated["candidate"]["metrics"] == good["metrics"]
    assert deployed["decision"] == "promoted"
    assert (deployed["champion"], deployed["previous"]) == (good["version"], poor["version"])
    assert deployed["challenger"] is None

    card = environment.read("fraud", good["version"], CARD_FILE)
    assert f"champion {poor['version']}" in card
    assert "amount from 100" in card

    scorer = load(environment.download("fraud", good["version"], tmp_path / "served"))
    assert scorer.spec.logical_date == LATER
    risky = {"amount": 200.0, "merchant_fraud_risk_7d": 0.4}
    assert scorer.predict(risky) > scorer.predict({"amount": 10.0, "merchant_fraud_risk_7d": 0.0})

    assert LATER.isoformat() in lamina("list", "fraud")
    assert '"negatives_kept"' in lamina("show", "fraud")
    assert "## Limits" in lamina("card", "fraud")
    assert "metrics.average_precision" in lamina("compare", "fraud", poor["version"])
    served = ServedModel("fraud", environment, load, tmp_path / "models")
    asyncio.run(served.refresh())
    assert served.current is not None
    assert served.current.version == good["version"]
    lamina("rollback", "fraud")
    asyncio.run(served.refresh())
    assert served.current.version == poor["version"]
    champion = environment.alias("fraud", CHAMPION)
    assert champion is not None
    assert champion.version == poor["version"]
    lamina("promote", "fraud", good["version"])
    champion = environment.alias("fraud", CHAMPION)
    assert champion is not None
    assert champion.version == good["version"]


@pytest.mark.parametrize("module", ["models.fraud.train", "lamina.registry.deploy"])
def test_what_is_missing_ends_a_command_with_a_sentence(module: str, tmp_path: Path) -> None:
    arguments = ["--date", "2018-08-21", "--lake-url", str(tmp_path)]
    if module == "lamina.registry.deploy":
        arguments += ["--system", "fraud"]
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not there: run python -m" in done.stderr
    assert "Traceback" not in done.stderr

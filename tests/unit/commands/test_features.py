"""`lamina features`: the commands that need no service."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.commands.features import find_view, newest_logged, system_of
from lamina.contracts.topics import predictions_of
from lamina.definitions import load, system_names
from lamina.errors import DefinitionError, LaminaError
from lamina.lake import layout


def run(*arguments: str) -> str:
    """What the command prints."""
    found = CliRunner(env={"COLUMNS": "60"}).invoke(app, ["features", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_every_view_is_listed() -> None:
    listed = run("list")
    assert all(view.name in listed for system in system_names() for view in load(system).views)


def test_a_view_is_shown_with_its_features() -> None:
    shown = run("show", "user_spend")
    assert all(f.name in shown for f in find_view("user_spend")[1].features)


def test_a_feature_or_a_ratio_leads_to_its_view() -> None:
    assert find_view("avg_amount_1h")[1].name == "user_velocity"
    assert find_view("merchant_fraud_risk_7d")[1].name == "merchant_fraud"
    with pytest.raises(DefinitionError, match=r"views are .*user_velocity"):
        find_view("nothing")


def test_an_entity_leads_to_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name: system_of(name) for name in ("user", "merchant", "item")} == {
        "user": "fraud",
        "merchant": "fraud",
        "item": "activity",
    }
    with pytest.raises(DefinitionError, match=r"no system has an entity 'nobody'; there are .*item, merchant, .*user"):
        system_of("nobody")
    monkeypatch.setattr("lamina.commands.features.load", lambda name: load("fraud"))
    with pytest.raises(
        DefinitionError, match=r"systems activity, fraud, .*share entity 'user': name one with --system"
    ):
        system_of("user")


def test_the_docs_are_current() -> None:
    assert "every page is current" in run("docs", "--check")


def test_parity_takes_the_newest_logged_day(tmp_path: Path) -> None:
    with pytest.raises(LaminaError, match="archive topic 'predictions-fraud' first"):
        newest_logged(str(tmp_path), "fraud")
    for day in (date(2018, 8, 8), date(2018, 8, 14)):
        Path(layout.events(str(tmp_path), predictions_of("fraud"), day)).mkdir(parents=True)
    assert newest_logged(str(tmp_path), "fraud") == date(2018, 8, 14)

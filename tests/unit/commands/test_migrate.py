"""`lamina migrate` on a lake of the version before; its steps in Kafka are tried on a real broker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.migrations import steps
from lamina.settings import ROOT

RECORDED = ROOT / "tests" / "data" / "lakes" / "labels-on-model-feedback"


def test_it_says_what_it_would_do_and_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RECORDED, tmp_path / "lake")
    monkeypatch.setattr(steps, "STEPS", steps.STEPS[:1])
    runner = CliRunner(env={"LAMINA_LAKE_URL": str(tmp_path / "lake")})
    old, new = tmp_path / "lake" / "events" / "model-feedback", tmp_path / "lake" / "events" / "fraud-labels"
    would = runner.invoke(app, ["migrate", "--dry-run"], catch_exceptions=False)
    assert f": would move {old} to {new}" in would.output
    assert would.output.endswith("4 tasks to do\n")
    assert old.exists() and not new.exists()
    did = runner.invoke(app, ["migrate"], catch_exceptions=False)
    assert f": done: move {old} to {new}" in did.output
    assert did.output.endswith("4 tasks done\n")
    assert new.exists() and not old.exists()
    assert runner.invoke(app, ["migrate"], catch_exceptions=False).output == "nothing to do\n"

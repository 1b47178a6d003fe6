"""What the targets need before they run; nothing here is installed or fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lamina.settings import ROOT

MADE = (".tools/bin/uv", ".venv/.stamp", ".venv-flink/.stamp", ".venv-networks/.stamp", ".tools/jars/.stamp")
ASKED = "was asked:"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile and what it looks at, all of it made, with a Python that says what it was asked."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "lamina" / "local").mkdir(parents=True)
    for name in ("jars.py", "jars.sha256"):
        shutil.copy(ROOT / "lamina" / "local" / name, tmp_path / "lamina" / "local")
    later = time.time() + 60
    for name in MADE:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (later, later))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "{ASKED} $*"\n')
    python.chmod(0o755)
    return tmp_path


def make(checkout: Path, *targets: str) -> str:
    """What `make` printed, with an empty home and without a proxy."""
    home = checkout / "home"
    home.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(["make", *targets], cwd=checkout, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_doctor_comes_although_java_and_flink_are_missing(checkout: Path) -> None:
    """It says what is missing: what fetches that would end with the first thing that it cannot have."""
    (checkout / ".tools" / "jars" / ".stamp").unlink()
    (checkout / ".venv-flink" / ".stamp").unlink()
    assert make(checkout, "doctor").splitlines() == [f"{ASKED} -m lamina.cli doctor"]


def test_jars_are_fetched_again_when_their_sums_change(checkout: Path) -> None:
    assert "lamina.local.jars" not in make(checkout, "jars")
    (checkout / "lamina" / "local" / "jars.sha256").touch()
    os.utime(checkout / "lamina" / "local" / "jars.sha256", (time.time() + 120,) * 2)
    assert f"{ASKED} -m lamina.local.jars" in make(checkout, "jars")


@pytest.mark.parametrize(
    ("target", "asked"),
    [("test", "-m pytest --numprocesses 2"), ("demo", "-m lamina.demo"), ("up", "-m lamina.cli up")],
)
def test_a_home_that_is_empty_is_no_obstacle(checkout: Path, target: str, asked: str) -> None:
    assert f"{ASKED} {asked}" in [line.strip() for line in make(checkout, target).splitlines()]


def test_a_part_of_the_suite_does_not_wait_for_further_processes(checkout: Path) -> None:
    asked = [line.strip() for line in make(checkout, "test", "ARGS=tests/unit -x").splitlines()]
    assert f"{ASKED} -m pytest --numprocesses 0 tests/unit -x" in asked
    asked = [line.strip() for line in make(checkout, "test", "ARGS=tests/unit", "PROCESSES=3").splitlines()]
    assert f"{ASKED} -m pytest --numprocesses 3 tests/unit" in asked

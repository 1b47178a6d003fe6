"""The arrows of the tree: import-linter's contracts, and what it cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from lamina.settings import ROOT

LEAVES = ("dags", "jobs", "models", "serving")
DAG_IMPORTS = frozenset({"airflow", "lamina"})


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_no_arrow_points_the_wrong_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "dags").glob("*.py")), ids=lambda file: file.name)
def test_dags_import_airflow_and_lamina_only(file: Path) -> None:
    foreign = set(_imports(file)) - DAG_IMPORTS - sys.stdlib_module_names
    assert not foreign, f"{file.name} imports {sorted(foreign)}; move it into lamina.orchestration or a job"


def test_nothing_but_dags_knows_dags() -> None:
    for folder in ("lamina", "jobs", "models", "serving"):
        for file in (ROOT / folder).rglob("*.py"):
            assert "dags" not in set(_imports(file)), file


def test_only_tests_know_tests() -> None:
    """What a benchmark and a test both need lives with the benchmarks, or in lamina."""
    for folder in ("lamina", "benchmarks", *LEAVES):
        for file in (ROOT / folder).rglob("*.py"):
            assert "tests" not in set(_imports(file)), f"{file} imports tests: move what both need into benchmarks"


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_folders_names_are_nobody_elses(leaf: str) -> None:
    assert leaf not in metadata.packages_distributions()
    assert leaf not in sys.stdlib_module_names

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


def _graph(*folders: Path) -> dict[str, set[str]]:
    """What each module in `folders` imports of the others, wherever it says so: in functions and for types alone too.

    A package that holds a module is not counted as imported by it: it names no name of it.
    """
    files = {}
    for folder in folders:
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder.parent).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    graph: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                graph[name].update(alias.name for alias in node.names if alias.name in files)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    module = module if module in files else node.module
                    graph[name].update({module} & files.keys())
    return graph


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module, or of one that imports itself; sorted."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        left = [start]
        while left:
            new = graph[left.pop()] - found
            found |= new
            left += new
        return found

    reach = {name: reached(name) for name in graph}
    on_circles = {name for name in graph if name in reach[name]}
    components = {frozenset(other for other in reach[name] if name in reach[other]) for name in on_circles}
    return sorted(sorted(component) for component in components)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = _graph(*(ROOT / folder for folder in ("lamina", "benchmarks", *LEAVES)))
    assert len(graph) > 300
    assert _circles(graph) == [], "move what both sides of a circle need into a module below them"


def test_a_circle_is_seen_wherever_its_imports_stand(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    for name, text in {
        "__init__": "from made.top import a",
        "top": "import made.one",
        "one": "def f():\n    from made.deep import two",
        "deep/__init__": "",
        "deep/two": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made.three import T",
        "three": "from made.one import f",
        "alone": "from made.one import f\nimport made.three",
    }.items():
        (folder / f"{name}.py").write_text(text)
    assert _circles(_graph(folder)) == [["made.deep.two", "made.one", "made.three"]]


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_folders_names_are_nobody_elses(leaf: str) -> None:
    assert leaf not in metadata.packages_distributions()
    assert leaf not in sys.stdlib_module_names

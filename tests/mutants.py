"""Mutation testing: small changes to the code, each of which a test has to notice.

Cosmic Ray says what can be changed; a seeded sample of a package's changes is tried, each in a copy of the tree and in
a process of its own, by the tests that ran the changed statement. A change that no test runs, that none notices or that
runs into its time-out has survived. Annotations are left out: nothing evaluates them.

    python -m tests.mutants --sample 100 --seed 42 --json FILE
"""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lamina.settings import ROOT

PACKAGES = (
    "lamina/store",
    "lamina/semantics",
    "serving/stages",
    "serving/systems",
    "lamina/streams",
    "lamina/registry",
)
SUITE = (
    "tests/unit",
    "tests/contract/test_memory_store.py",
    "tests/contract/test_redis_store.py",
    "tests/contract/test_redis_folding.py",
    "tests/contract/test_progress.py",
    "tests/contract/test_registry_memory.py",
    "tests/contract/test_recorded_events.py",
    "tests/parity/test_reader.py",
    "tests/parity/test_duckdb.py",
    "tests/parity/test_folded_reader.py",
    "tests/integration/test_predict.py",
    "tests/integration/test_experiments.py",
    "tests/integration/test_repeats.py",
)
"""Tests without a JVM, most of which run in seconds."""
LEFT_OUT = ".git", ".venv*", ".tools", ".lamina", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"
LINKED = ".venv", ".venv-flink", ".venv-networks", ".tools"
OURS = "lamina", "serving", "models", "jobs", "tests", "benchmarks", "dags"
LIBRARIES = "pytest", "hypothesis", "numpy", "pandas", "pyarrow", "duckdb", "fastapi", "httpx", "redis", "pydantic"
"""Imported once, before the processes of the mutants are forked off."""
LEAST_S = 20.0
SLACK = 5.0
"""A mutant may take this many times as long as its tests did."""


class Mutant(NamedTuple):
    """One change: the file, Cosmic Ray's operator, which of its places, the line, and the statement's lines."""

    file: str
    operator: str
    occurrence: int
    line: int
    statement: range


class Tests(NamedTuple):
    """Which tests ran a line, and how long each takes in seconds."""

    by_line: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def of(self, mutant: Mutant) -> list[str]:
        """Those that ran the mutant's statement, quickest first; those of its file where it runs at import."""
        lines = self.by_line.get(mutant.file, {})
        found = {test for line in mutant.statement for test in lines.get(line, ())}
        if found == {""}:
            found = {test for tests in lines.values() for test in tests}
        if found == {""}:
            # A file of constants alone: whoever uses them may notice.
            found = set(self.seconds)
        return sorted(found - {""}, key=lambda test: (self.seconds.get(test, 1.0), test))


def mutants(folder: Path, package: str) -> Iterator[Mutant]:
    """Every change that Cosmic Ray knows of the files of `package`."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    for file in sorted((folder / package).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        tree, nodes = ast.parse(source), list(ast_nodes(get_ast(source)))
        annotations = list(_annotations(tree))
        statements = sorted(
            (_lines(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)), key=lambda lines: len(lines)
        )
        for name in sorted(plugins.operator_names()):
            operator_class = plugins.get_operator(name)
            if operator_class.arguments():
                continue
            operator = operator_class()
            places = (place for node in nodes for place in operator.mutation_positions(node))
            for occurrence, (start, end) in enumerate(places):
                if any(first <= start and end <= last for first, last in annotations):
                    continue
                line = range(start[0], start[0] + 1)
                statement = next((lines for lines in statements if start[0] in lines), line)
                yield Mutant(str(file.relative_to(folder)), name, occurrence, start[0], statement)


def _lines(node: ast.stmt) -> range:
    """The lines of a statement; of one that holds others, those before them."""
    body = getattr(node, "body", None)
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return range(first, (body[0].lineno if body else (node.end_lineno or node.lineno) + 1))


def _annotations(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if isinstance(found, ast.expr):
                yield (found.lineno, found.col_offset), (found.end_lineno or 0, found.end_col_offset or 0)


def _run_pytest(folder: Path, arguments: list[str], plugins: list[object]) -> int:
    os.setsid()
    said = os.open(folder / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(folder)
    sys.path[0] = str(folder)
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    for module in [module for module in sys.modules if module.split(".")[0] in OURS]:
        del sys.modules[module]
    import pytest

    # What was imported for all of them cannot be rewritten any more, and need not be.
    unwritten = "ignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-W", unwritten, *arguments], plugins))


def _forked(folder: Path, arguments: list[str], plugins: list[object], limit_s: float) -> int | None:
    """How pytest ended in a process of its own, None when it took too long."""
    pid = os.fork()
    if pid == 0:
        # Whatever happens, this process ends here: it must not clean up after its parent.
        ended = 1
        try:
            ended = _run_pytest(folder, arguments, plugins)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(ended)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


class _Durations:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._seconds), encoding="utf-8")


def measure(folder: Path, suite: Sequence[str]) -> Tests:
    """Run the suite once and see which test runs which line."""
    from coverage import CoverageData

    seconds = folder / "seconds.json"
    covered = [f"--cov={package}" for package in PACKAGES]
    ended = _forked(folder, [*suite, *covered, "--cov-context=test", "--cov-report="], [_Durations(seconds)], 3600.0)
    if ended != 0:
        said = (folder / "pytest.log").read_text(encoding="utf-8")[-4000:]
        raise SystemExit(f"{said}\nthe suite does not pass unchanged (pytest ended with {ended}): mend that first")
    data = CoverageData(str(folder / ".coverage"))
    data.read()
    by_line = {
        str(Path(file).relative_to(folder)): {
            line: [context.partition("|")[0] for context in contexts]
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return Tests(by_line, json.loads(seconds.read_text(encoding="utf-8")))


def outcome(folder: Path, mutant: Mutant, tests: Tests) -> str:
    """What became of the mutant: killed, survived, timed out or not run."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    covering = tests.of(mutant)
    if not covering:
        return "not run"
    file = folder / mutant.file
    source = file.read_text(encoding="utf-8")
    changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    limit_s = LEAST_S + SLACK * sum(tests.seconds.get(test, 1.0) for test in covering)
    listed = folder / "tests.txt"
    listed.write_text("\n".join(covering), encoding="utf-8")
    file.write_text(changed, encoding="utf-8")
    try:
        ended = _forked(folder, ["-x", f"@{listed}"], [], limit_s)
    finally:
        file.write_text(source, encoding="utf-8")
    return "timed out" if ended is None else "survived" if ended == 0 else "killed"


def _copy(folder: Path) -> None:
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    for name in LINKED:
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    # Some tests ask git which files there are.
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)


def main(
    package: Annotated[list[str] | None, typer.Option(help="A folder; more than one may be given.")] = None,
    suite: Annotated[list[str] | None, typer.Option(help="Tests to try; all that need no JVM by default.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Changes tried of a package.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 42,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where every change's outcome goes.")] = None,
) -> None:
    """Try a sample of changes of each package, and say which no test noticed."""
    for library in LIBRARIES:
        __import__(library)
    os.environ.setdefault("LAMINA_DATA", str(ROOT.parent / "shared" / "data"))
    console, found = Console(), []
    with tempfile.TemporaryDirectory(prefix="lamina-mutants-") as temporary:
        folder = Path(temporary) / "tree"
        _copy(folder)
        console.print("which test runs which line: the suite runs once")
        tests = measure(folder, suite or SUITE)
        table = Table("package", "tried", "killed", "survived", "timed out", "not run", "killed, share")
        for name in package or PACKAGES:
            every = list(mutants(folder, name))
            chosen = random.Random(seed).sample(every, min(sample, len(every)))
            outcomes: dict[str, int] = defaultdict(int)
            for mutant in track(chosen, description=name, console=console):
                became = outcome(folder, mutant, tests)
                outcomes[became] += 1
                found.append({"package": name, **mutant._asdict(), "statement": None, "outcome": became})
                if became != "killed":
                    console.print(f"{became}: {mutant.file}:{mutant.line} {mutant.operator} {mutant.occurrence}")
            counts = [outcomes[kind] for kind in ("killed", "survived", "timed out", "not run")]
            table.add_row(name, *map(str, [len(chosen), *counts]), f"{outcomes['killed'] / len(chosen):.0%}")
            if json_file is not None:
                json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)

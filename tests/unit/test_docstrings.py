"""The examples in docstrings, run: one that is not true is worse than none."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from lamina.settings import ROOT

FOLDERS = ("lamina", "serving", "models", "jobs")


def with_examples() -> list[str]:
    """Modules that have an example; others are not even imported."""
    files = (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py")))
    return [_module(file.relative_to(ROOT)) for file in files if ">>> " in file.read_text()]


def _module(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", with_examples())
def test_examples_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.attempted, f"{name} has `>>> ` and no example that doctest finds"
    assert not results.failed, "see the output above for what was expected"


def test_the_examples_of_all_folders_are_found() -> None:
    assert {name.partition(".")[0] for name in with_examples()} == set(FOLDERS)

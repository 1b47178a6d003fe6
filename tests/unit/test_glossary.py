"""What the glossary says that the code calls a thing is in the code."""

from __future__ import annotations

import re

import pytest

from lamina.settings import ROOT

FOLDERS = ("jobs", "lamina", "models", "serving")
ROWS = [line for line in (ROOT / "docs/concepts/glossary.md").read_text().splitlines() if line.startswith("| ")]
NAMES = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row.rpartition(" | ")[2])})
FILES = {str(file.relative_to(ROOT)): file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}
CODE = "\n".join(file.read_text() for file in FILES.values())


@pytest.mark.parametrize("name", [name for name in NAMES if re.fullmatch(r"[\w/]+(\.py)?", name)])
def test_the_code_has_what_the_glossary_names(name: str) -> None:
    if name.endswith(".py"):
        assert any(f"/{file}".endswith(f"/{name}") for file in FILES), f"no file {name}"
    elif "/" in name:
        assert (ROOT / name).is_dir(), f"no folder {name}"
    else:
        assert re.search(rf"\b{name}\b", CODE), f"nothing is called {name}"


def test_every_row_names_something() -> None:
    assert len(ROWS) > 30 and len(NAMES) > 30

"""What every system shares speaks of none: a word of one system's there is a copy waiting to be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamina.settings import ROOT

GENERAL = ("lamina/evaluation", "lamina/training", "lamina/reporting", "lamina/demo")
# The stories are the systems' own, and the command has a system that it takes where none is named.
OWN = {ROOT / "lamina/demo/__main__.py", *(ROOT / "lamina/demo/stories").glob("*.py")}
WORDS = re.compile(r"fraud|merchant|amount|transaction|payment|chargeback|scenario|shopper|purchase", re.IGNORECASE)


@pytest.mark.parametrize(
    "file",
    [file for folder in GENERAL for file in sorted(set((ROOT / folder).rglob("*.py")) - OWN)],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_no_word_of_one_system(file: Path) -> None:
    found = [line.strip() for line in file.read_text().splitlines() if WORDS.search(line)]
    assert not found, f"{file.relative_to(ROOT)} speaks of one system: let its Problem, its Recipe or its Story say it"

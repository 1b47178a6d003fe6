"""What every system shares speaks of none: a word of one system's there is a copy waiting to be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamina.settings import ROOT

GENERAL = ("lamina/evaluation", "lamina/training")
WORDS = re.compile(r"fraud|merchant|amount|transaction|payment|chargeback|scenario|shopper|purchase", re.IGNORECASE)


@pytest.mark.parametrize(
    "file",
    [file for folder in GENERAL for file in sorted((ROOT / folder).rglob("*.py"))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_no_word_of_one_system(file: Path) -> None:
    found = [line.strip() for line in file.read_text().splitlines() if WORDS.search(line)]
    assert not found, f"{file.relative_to(ROOT)} speaks of one system: let its Problem or its Recipe say it"

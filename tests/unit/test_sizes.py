"""A module of the product that is longer than a few screens is cut along a seam."""

from __future__ import annotations

import pytest

from lamina.settings import ROOT

FOLDERS = ("dags", "jobs", "lamina", "models", "serving")
MOST_LINES = 330
LONGER: frozenset[str] = frozenset()
"""Those that still have to be cut; entries are only ever removed."""

LINES = {
    str(file.relative_to(ROOT)): len(file.read_text().splitlines())
    for folder in FOLDERS
    for file in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_stay_within_the_limit(folder: str) -> None:
    found = {name: n for name, n in LINES.items() if name.startswith(f"{folder}/") and n > MOST_LINES}
    assert not found.keys() - LONGER, f"cut {found} along a seam: {MOST_LINES} lines are the most"


def test_what_was_cut_is_held_to_the_limit_from_then_on() -> None:
    assert {name for name in LONGER if LINES.get(name, 0) <= MOST_LINES} == set(), "take it out of LONGER"

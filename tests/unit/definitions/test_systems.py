"""A system has one name in every layer; `ls` in any layer lists the product."""

from __future__ import annotations

import pytest

from lamina import definitions
from lamina.errors import DefinitionError
from lamina.settings import ROOT


def test_systems_have_the_same_names_in_every_layer() -> None:
    names = set(definitions.system_names())
    assert names
    assert {p.name for p in (ROOT / "models").iterdir() if (p / "spec.py").exists()} == names
    routes = {p.stem for p in (ROOT / "serving" / "routes").glob("*.py")}
    assert names <= routes


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="no system 'frod'; there are fraud"):
        definitions.load("frod")

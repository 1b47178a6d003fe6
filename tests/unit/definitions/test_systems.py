"""A system has one name in every layer; `ls` in any layer lists the product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lamina import definitions
from lamina.contracts.features import minutes
from lamina.definitions import fraud
from lamina.errors import DefinitionError
from lamina.settings import ROOT


def test_systems_have_the_same_names_in_every_layer() -> None:
    names = {name for name in definitions.system_names() if definitions.load(name).model_features}
    assert names
    assert {definitions.load(name).system for name in definitions.system_names()} == set(definitions.system_names())
    assert {p.name for p in (ROOT / "models").iterdir() if (p / "spec.py").exists()} == names
    routes = {p.stem for p in (ROOT / "serving" / "routes").glob("*.py")}
    assert names <= routes


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="no system 'frod'; there are activity, fraud"):
        definitions.load("frod")


def test_every_meaning_is_recorded(tmp_path: Path) -> None:
    """`lamina features freeze` was run after the last change, and running it again changes nothing."""
    record = tmp_path / definitions.RECORD.name
    record.write_bytes(definitions.RECORD.read_bytes())
    assert not any(definitions.freeze(record).values())
    assert record.read_bytes() == definitions.RECORD.read_bytes()


def test_a_changed_meaning_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    view = replace(fraud.USER_VELOCITY, resolution=minutes(1))
    features = replace(fraud.FEATURES, views=(view, *fraud.FEATURES.views[1:]))
    monkeypatch.setattr(fraud, "FEATURES", features)
    with pytest.raises(DefinitionError, match=r"txn_count_1h.*version 1 of view 'user_velocity': set version=2"):
        definitions.load("fraud")
    newer = replace(view, version=2)
    monkeypatch.setattr(fraud, "FEATURES", replace(features, views=(newer, *features.views[1:])))
    assert definitions.load("fraud").views[0].version == 2

"""A system has one name in every layer; `ls` in any layer lists the product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lamina import definitions
from lamina.contracts.features import Entity, minutes
from lamina.definitions import activity, fraud
from lamina.errors import DefinitionError
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT
from lamina.store.staleness import Staleness, batch_watermark, stale
from tests.unit.test_systems import IN_THE_MAKING


def test_systems_have_the_same_names_in_every_layer() -> None:
    names = {name for name in definitions.system_names() if definitions.load(name).model_features}
    assert names
    assert {definitions.load(name).system for name in definitions.system_names()} == set(definitions.system_names())
    assert {p.name for p in (ROOT / "models").iterdir() if (p / "train.py").exists()} == names
    served = {p.parent.name for p in (ROOT / "serving" / "systems").glob("*/routes.py")}
    assert names - IN_THE_MAKING <= served <= names


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="no system 'frod'; there are activity, fraud, recommendation"):
        definitions.load("frod")


def test_every_meaning_is_recorded(tmp_path: Path) -> None:
    """`lamina features freeze` was run after the last change, and running it again changes nothing."""
    files = [definitions.meanings_file(system) for system in definitions.system_names()]
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert not any(definitions.freeze(tmp_path).values())
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {file.name: file.read_bytes() for file in files}


def test_a_changed_meaning_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    view = replace(fraud.USER_VELOCITY, resolution=minutes(1))
    features = replace(fraud.FEATURES, views=(view, *fraud.FEATURES.views[1:]))
    monkeypatch.setattr(fraud, "SYSTEM", replace(fraud.SYSTEM, features=features))
    with pytest.raises(DefinitionError, match=r"txn_count_1h.*version 1 of view 'user_velocity': set version=2"):
        definitions.load("fraud")
    newer = replace(view, version=2)
    changed = replace(features, views=(newer, *features.views[1:]))
    monkeypatch.setattr(fraud, "SYSTEM", replace(fraud.SYSTEM, features=changed))
    assert definitions.load("fraud").views[0].version == 2


@pytest.mark.parametrize("shared", [(False, False), (True, False), (False, True)])
def test_two_systems_do_not_have_an_entity_unasked(monkeypatch: pytest.MonkeyPatch, shared: tuple[bool, bool]) -> None:
    _same_entity(monkeypatch, *shared)
    for system in ("fraud", "activity"):
        with pytest.raises(DefinitionError, match=r"entity 'user' is one of system '\w+', too: .*shared=True in both"):
            definitions.load(system)


def test_two_systems_share_an_entity_where_both_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is then told of its own batch layer: what one has published says nothing of the other."""
    _same_entity(monkeypatch, True, True)
    both = [make_plan(definitions.load(system)) for system in ("fraud", "activity")]
    marks = {batch_watermark(p.features.system, e) for p in both for e in p.features.entities if e.name == "user"}
    assert marks == {"user@fraud", "user@activity"}
    for plan in both:
        own = {v.name for v in plan.features.views if v.entity.name == "user"}
        told = {mark: 10**13 for mark in marks if mark.endswith(plan.features.system)}
        assert not own & stale(Staleness(plan).begins(told), 10**13)
        others = {mark: 10**13 for mark in marks - told.keys()}
        assert own <= stale(Staleness(plan).begins(others), 10**13)


def test_a_shared_entity_has_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    _same_entity(monkeypatch, True, True, key="session_id")
    with pytest.raises(DefinitionError, match="'user_id' here, 'session_id' there"):
        definitions.load("fraud")


def _same_entity(monkeypatch: pytest.MonkeyPatch, fraud_says: bool, activity_says: bool, key: str = "user_id") -> None:
    """Both systems call what they describe `user`; the record is empty, as another name is another meaning."""
    monkeypatch.setattr(definitions, "recorded", lambda system: {})
    for system, name, entity in (
        (fraud, "user", Entity("user", "user_id", shared=fraud_says)),
        (activity, "shopper", Entity("user", key, shared=activity_says)),
    ):
        views = tuple(replace(v, entity=entity) if v.entity.name == name else v for v in system.FEATURES.views)
        monkeypatch.setattr(system, "SYSTEM", replace(system.SYSTEM, features=replace(system.FEATURES, views=views)))

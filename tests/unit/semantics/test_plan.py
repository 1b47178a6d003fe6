"""From definitions to what is kept."""

from __future__ import annotations

from dataclasses import replace

from lamina.contracts.aggregates import maximum
from lamina.contracts.features import Layers
from lamina.definitions.fraud import FEATURES, USER_HISTORY, USER_LAST_SEEN, USER_SPEND, USER_VELOCITY
from lamina.semantics.plan import make_plan

PLAN = make_plan(FEATURES)


def test_views_of_one_resolution_share_a_tiling() -> None:
    shared = {PLAN.tiling_of(v).id for v in (USER_VELOCITY, USER_LAST_SEEN, USER_SPEND)}
    assert len(shared) == 1
    assert PLAN.tiling_of(USER_HISTORY).id not in shared


def test_a_tiling_keeps_each_state_once_and_looks_as_far_back_as_its_longest_view() -> None:
    tiling = PLAN.tiling_of(USER_SPEND)
    assert [s.label for s in tiling.states][:2] == ["count(*)", "sum(amount)"]
    assert len({s.label for s in tiling.states}) == len(tiling.states)
    assert tiling.horizon_s == 30 * 86_400


def test_only_views_of_both_layers_are_streamed() -> None:
    assert {t.entity.name for t in PLAN.speed} == {"user"}
    assert all(t.layers == Layers.BOTH for t in PLAN.speed)


def test_a_changed_meaning_changes_the_id() -> None:
    changed = replace(USER_HISTORY, aggregates=(*USER_HISTORY.aggregates, maximum("amount", "more")))
    same = make_plan(replace(FEATURES, views=(changed,), ratios=(), model_features=()))
    before = make_plan(replace(FEATURES, views=(USER_HISTORY,), ratios=(), model_features=()))
    assert same.tilings[0].id == before.tilings[0].id, "maximum of the same column is already kept"
    changed = replace(changed, aggregates=(*changed.aggregates, maximum("timestamp", "other")))
    other = make_plan(replace(FEATURES, views=(changed,), ratios=(), model_features=()))
    assert other.tilings[0].id != before.tilings[0].id

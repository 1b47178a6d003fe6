"""From definitions to what is kept."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from lamina.contracts.aggregates import count, distinct, last_k, maximum
from lamina.contracts.features import Duration, FeatureSet, FeatureView, Layers, Window, days, hours, minutes, seconds
from lamina.definitions.activity import FEATURES as ACTIVITY
from lamina.definitions.fraud import (
    FEATURES,
    MERCHANT_TRAFFIC,
    TRANSACTIONS,
    USER,
    USER_HISTORY,
    USER_LAST_SEEN,
    USER_SPEND,
    USER_VELOCITY,
)
from lamina.semantics.plan import State, TileSpec, make_plan

PLAN = make_plan(FEATURES)


def test_views_of_one_resolution_share_a_tile_spec() -> None:
    shared = {PLAN.tile_spec_of(f).id for v in (USER_VELOCITY, USER_LAST_SEEN, USER_SPEND) for f in v.features}
    assert len(shared) == 1
    assert PLAN.tile_spec_of(USER_HISTORY.features[0]).id not in shared


def test_a_tile_spec_keeps_each_state_once_and_looks_as_far_back_as_its_longest_view() -> None:
    tile_spec = PLAN.tile_spec_of(USER_SPEND.features[0])
    assert [s.label for s in tile_spec.states][:2] == ["count(*)", "sum(amount)"]
    assert len({s.label for s in tile_spec.states}) == len(tile_spec.states)
    assert tile_spec.horizon_s == 30 * 86_400


def test_only_views_of_both_layers_are_streamed() -> None:
    assert [(t.entity.name, t.source.name) for t in PLAN.speed] == [
        ("user", "transactions"),
        ("merchant", "fraud_reports"),
    ]
    assert all(t.layers == Layers.BOTH for t in PLAN.streamed)
    assert PLAN.speed_of(PLAN.tile_spec_of(MERCHANT_TRAFFIC.features[0])) is None


def test_the_speed_layer_keeps_the_finest_tiles_with_the_states_of_all() -> None:
    fine, coarse = PLAN.tile_spec_of(USER_SPEND.features[0]), PLAN.tile_spec_of(USER_HISTORY.features[0])
    speed = PLAN.speed[0]
    assert PLAN.speed_of(fine) is PLAN.speed_of(coarse)
    assert PLAN.speed_of(fine) == speed
    assert (speed.resolution, speed.horizon_s) == (fine.resolution, coarse.horizon_s)
    assert set(speed.states) == {*fine.states, *coarse.states}
    assert {s.label for s in speed.keyed} == {s.label for t in (fine, coarse) for s in t.keyed} - {
        "distinct[256](merchant_id)"
    }, "the larger of two sizes decides"
    assert speed.id not in (fine.id, coarse.id)


def test_a_hot_entity_keeps_each_resolution_as_it_is() -> None:
    plan = make_plan(ACTIVITY)
    items = [t for t in plan.tile_specs if t.entity.hot]
    assert [t for t in plan.speed if t.entity.hot] == items
    assert len(items) == 2


def test_a_resolution_that_no_finer_one_divides_is_kept_beside_it() -> None:
    plan = make_plan(_alone(windows=(Window(hours(1), minutes(2)), Window(hours(3), minutes(3))), suffix=True))
    assert [t.resolution.label for t in plan.speed] == ["2m", "3m"]


def test_tiles_with_values_in_them_have_a_name_of_their_own() -> None:
    plan = make_plan(_alone(windows=(hours(1),), resolution=seconds(1)))
    assert plan.speed[0].states == plan.tile_specs[0].states
    assert plan.speed[0].id != plan.tile_specs[0].id


def test_a_changed_meaning_changes_the_id() -> None:
    changed = replace(USER_HISTORY, aggregates=(*USER_HISTORY.aggregates, maximum("amount", "more")))
    same = make_plan(replace(FEATURES, views=(changed,), ratios=(), elapsed=(), model_features=()))
    before = make_plan(replace(FEATURES, views=(USER_HISTORY,), ratios=(), elapsed=(), model_features=()))
    assert same.tile_specs[0].id == before.tile_specs[0].id, "maximum of the same column is already kept"
    changed = replace(changed, aggregates=(*changed.aggregates, maximum("timestamp", "other")))
    other = make_plan(replace(FEATURES, views=(changed,), ratios=(), elapsed=(), model_features=()))
    assert other.tile_specs[0].id != before.tile_specs[0].id


def test_one_version_of_a_view_is_the_first() -> None:
    """Only later ones are part of what a tile means: definitions that say 1 keep their tiles."""
    (first,), (second,) = (make_plan(_alone(version=version)).tile_specs for version in (1, 2))
    assert (first.versions, second.versions) == ((), (f"{USER_HISTORY.name} version 2",))


def test_what_is_planned_cannot_be_changed() -> None:
    """Stores and engines keep it, and count on it."""
    tile_spec = PLAN.tile_specs[0]
    for planned, name in ((PLAN, "tile_specs"), (tile_spec, "states"), (tile_spec.states[0], "size")):
        with pytest.raises(FrozenInstanceError):
            setattr(planned, name, None)


def test_a_state_is_the_same_however_much_is_asked_of_it() -> None:
    bare = State("distinct", "country")
    assert (bare.size, bare.horizon_s, bare.delayed) == (0, 0, False)
    assert bare == State("distinct", "country", size=5, horizon_s=9, delayed=True)
    assert bare != State("last_k", "country")
    assert [State("count").numeric, State("last", "country").numeric, bare.numeric] == [True, False, False]


def test_tile_specs_are_told_by_their_entity() -> None:
    user, merchant = PLAN.features.entities
    assert {t.entity for t in PLAN.of_entity(user)} == {user}
    assert {t.entity for t in PLAN.of_entity(merchant)} == {merchant}
    assert len(PLAN.of_entity(user)) + len(PLAN.of_entity(merchant)) == len(PLAN.tile_specs)


def test_tiles_of_before_are_found_again() -> None:
    """The name of a tile spec stands in every store: what means the same has to be called the same."""
    keyed = (State("distinct", "country", size=3),)
    tile_spec = TileSpec(
        USER, TRANSACTIONS, hours(1), Layers.BOTH, 3600, (State("count"), State("sum", "amount")), keyed
    )
    assert tile_spec.id == "transactions@1h#bf010b"
    assert replace(tile_spec, versions=("spend version 2",)).id == "transactions@1h#75bab4"
    assert tile_spec.key == f"user:{tile_spec.id}"


def test_a_tile_starts_with_its_first_millisecond() -> None:
    hourly = replace(PLAN.tile_specs[0], resolution=hours(1))
    assert [hourly.start_ms(at) for at in (7_200_000, 7_200_001, 10_799_999)] == [7_200_000] * 3


def test_tiles_of_a_second_hold_their_values_unless_many_events_share_one() -> None:
    short = replace(PLAN.tile_specs[0], resolution=seconds(1))
    crowded = replace(short, entity=replace(short.entity, hot=True))
    assert [t.inline for t in (short, replace(short, resolution=seconds(2)), crowded)] == [True, False, False]


def test_only_sets_of_values_with_fields_of_their_own_count_events() -> None:
    keyed = (State("last_k", "country", size=2), State("distinct", "country", size=3))
    hourly = replace(PLAN.tile_specs[0], resolution=hours(1), keyed=keyed)
    assert hourly.hashed == (1,)
    assert [hourly.counts_all(state) for state in keyed] == [False, True]
    for other in (
        replace(hourly, resolution=seconds(1)),
        replace(hourly, entity=replace(hourly.entity, hot=True)),
    ):
        assert not any(other.counts_all(state) for state in keyed)
        # Values of a hot entity have fields of their own, too: how many there are is told.
        assert [other.counts_apart(state) for state in keyed] == [False, other.entity.hot]
    assert [hourly.counts_apart(state) for state in keyed] == [False, True]
    assert hourly.seen_label() == hourly.key
    assert hourly.seen_label(keyed[1]) == f"{hourly.key}/distinct[3](country)"


def test_a_delay_of_one_view_is_known_of_what_it_shares() -> None:
    """And how far back the one looks that looks furthest."""

    def view(name: str, delay: Duration, window: Duration) -> FeatureView:
        return replace(USER_HISTORY, name=name, delay=delay, windows=(window,), suffix=False, aggregates=(count(name),))

    for views in (
        (view("a", days(1), days(2)), view("b", days(0), days(5))),
        (view("b", days(0), days(5)), view("a", days(1), days(2))),
    ):
        (tile_spec,) = make_plan(replace(FEATURES, views=views, ratios=(), elapsed=(), model_features=())).tile_specs
        (state,) = tile_spec.states
        assert state.delayed
        alone = make_plan(_alone(aggregates=(count("n"),), delay=days(0))).tile_specs[0].states
        assert not any(own.delayed for own in alone)
        assert state.horizon_s == tile_spec.horizon_s == max(f.horizon for v in views for f in v.features)


def _alone(**changes: object) -> FeatureSet:
    return replace(FEATURES, views=(replace(USER_HISTORY, **changes),), ratios=(), elapsed=(), model_features=())  # type: ignore[arg-type]


def test_another_version_has_tiles_of_its_own() -> None:
    first, second = (make_plan(_alone(version=version)).tile_specs[0].id for version in (1, 2))
    assert first != second
    assert first == make_plan(_alone()).tile_specs[0].id


def test_the_largest_size_of_views_that_share_a_tile_spec_decides() -> None:
    def view(name: str, cap: int, k: int) -> FeatureView:
        return FeatureView(
            name=name,
            entity=USER,
            source=TRANSACTIONS,
            owner="tests",
            aggregates=(distinct("country", f"{name}_d", cap=cap), last_k("country", f"{name}_l", k=k)),
            windows=(hours(1),),
            resolution=seconds(1),
        )

    (tile_spec,) = make_plan(
        FeatureSet(system="s", request=TRANSACTIONS, views=(view("a", 3, 9), view("b", 7, 2)))
    ).tile_specs
    assert [s.label for s in tile_spec.keyed] == ["distinct[7](country)", "last_k[9](country)"]


def test_a_window_with_a_resolution_of_its_own_has_a_tile_spec_of_its_own() -> None:
    plan = make_plan(
        _alone(windows=(hours(1), Window(days(90), resolution=days(1))), resolution=seconds(1), suffix=True)
    )
    assert [(t.resolution.label, t.horizon_s) for t in plan.tile_specs] == [("1s", 3600), ("1d", 90 * 86_400)]
    assert {plan.tile_spec_of(f).resolution.label for f in plan.features.window_features if f.window == days(90)} == {
        "1d"
    }

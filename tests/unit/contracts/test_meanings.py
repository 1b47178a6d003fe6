"""A name never silently comes to mean something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.contracts.aggregates import Predicate, count, distinct, first_time, last_k, last_time
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    FeatureSet,
    FeatureView,
    Membership,
    Ratio,
    RequestFeature,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.contracts.meanings import complaints, meanings_of, read_meaning
from lamina.definitions.fraud import TRANSACTIONS, USER

VIEW = FeatureView(
    name="v",
    entity=USER,
    source=TRANSACTIONS,
    owner="tests",
    aggregates=(count("n"), distinct("country", "d", cap=9)),
    windows=(hours(1),),
    resolution=seconds(1),
)


def features(view: FeatureView) -> FeatureSet:
    """A feature set of one view."""
    return FeatureSet(system="s", request=TRANSACTIONS, views=(view,))


RECORDED = meanings_of(features(VIEW))


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (replace(VIEW, owner="others"), []),
        (replace(VIEW, windows=(hours(1), days(1))), []),
        (replace(VIEW, aggregates=VIEW.aggregates[:1]), []),
        (replace(VIEW, resolution=minutes(1)), ["n_1h", "d_1h"]),
        (replace(VIEW, include_request=True), ["n_1h", "d_1h"]),
        (replace(VIEW, delay=hours(1)), ["n_1h", "d_1h"]),
        (replace(VIEW, aggregates=(count("n"), distinct("country", "d", cap=10))), ["d_1h"]),
        (replace(VIEW, aggregates=(count("n", where=Predicate("country", "=", "FR")),)), ["n_1h"]),
        (replace(VIEW, aggregates=(distinct("user_country", "d", cap=9),)), ["d_1h"]),
    ],
)
def test_a_changed_meaning_asks_for_another_version(changed: FeatureView, names: list[str]) -> None:
    found = list(complaints(features(changed), RECORDED))
    assert len(found) == len(names)
    for name, complaint in zip(names, found, strict=True):
        assert f"{name!r} means something else" in complaint
        assert "version=2" in complaint
    assert not list(complaints(features(replace(changed, version=2)), RECORDED))


SET = FeatureSet(
    system="s",
    request=TRANSACTIONS,
    views=(
        VIEW,
        replace(VIEW, name="w", aggregates=(last_time("seen"), first_time("began")), suffix=False),
        replace(VIEW, name="x", aggregates=(count("sent"),), windows=(days(1),)),
        replace(VIEW, name="y", aggregates=(last_k("merchant_id", "shops", k=3),), suffix=False),
    ),
    ratios=(Ratio("share", "n_1h", "d_1h"), Ratio("against", "amount", "n_1h", default=None)),
    elapsed=(Elapsed("since", "seen"), Elapsed("lasted", "began", until="seen")),
    chosen=(Chosen("by_country", "country", {"FR": "n_1h", "BE": "sent_1d"}, default=0.0),),
    memberships=(Membership("known", "merchant_id", "shops"),),
    request_features=(
        RequestFeature("amount", "field", "amount"),
        RequestFeature("abroad", "differs", "country", other="user_country"),
        RequestFeature("online", "equals", "transaction_type", value="online"),
        RequestFeature("night", "night"),
    ),
)
EVERY = meanings_of(SET)


def _with(features: FeatureSet, kind: str, at: int, **fields: Any) -> FeatureSet:
    """`features` with one of a kind replaced."""
    found = list(getattr(features, kind))
    found[at] = replace(found[at], **fields)
    changed: dict[str, Any] = {kind: tuple(found)}
    return replace(features, **changed)


def test_every_feature_has_a_meaning_of_its_own() -> None:
    assert set(EVERY) == set(SET.names)
    assert len({m.fingerprint for m in EVERY.values()}) == len(EVERY)


@pytest.mark.parametrize(
    ("kind", "at", "fields", "names"),
    [
        ("ratios", 0, {"default": 1.0}, ["share"]),
        ("ratios", 0, {"numerator": "d_1h", "denominator": "n_1h"}, ["share"]),
        ("ratios", 1, {"denominator": "d_1h"}, ["against"]),
        ("elapsed", 0, {"since": "began"}, ["since"]),
        ("elapsed", 1, {"until": None}, ["lasted"]),
        ("chosen", 0, {"default": None}, ["by_country"]),
        ("chosen", 0, {"column": "user_country"}, ["by_country"]),
        ("chosen", 0, {"of": {"FR": "n_1h"}}, ["by_country"]),
        ("chosen", 0, {"of": {"FR": "n_1h", "DE": "sent_1d"}}, ["by_country"]),
        ("memberships", 0, {"column": "user_id"}, ["known"]),
        ("request_features", 1, {"transform": "equals", "value": "FR", "other": ""}, ["abroad"]),
        ("request_features", 2, {"value": "atm"}, ["online"]),
        ("request_features", 3, {"transform": "weekend"}, ["night"]),
        # What is made of it means something else, too.
        ("request_features", 0, {"column": "location.lat"}, ["amount", "against"]),
    ],
)
def test_what_is_made_from_others_has_a_recorded_meaning(
    kind: str, at: int, fields: dict[str, object], names: list[str]
) -> None:
    changed = _with(SET, kind, at, **fields)
    found = list(complaints(changed, EVERY))
    assert sorted(c.split("'")[1] for c in found) == sorted(names)
    assert all("set version=2" in c for c in found)
    assert not list(complaints(_with(changed, kind, at, version=2), EVERY))


def test_a_newer_version_of_a_part_is_one_of_the_whole() -> None:
    view = replace(VIEW, include_request=True)
    changed = replace(SET, views=(view, *SET.views[1:]))
    assert {c.split("'")[1] for c in complaints(changed, EVERY)} == {"n_1h", "d_1h", "share", "against", "by_country"}
    newer = replace(SET, views=(replace(view, version=2), *SET.views[1:]))
    assert not list(complaints(newer, EVERY))
    assert list(complaints(SET, meanings_of(newer))), "and none goes back"


def test_a_new_name_of_a_part_changes_no_meaning() -> None:
    renamed = replace(VIEW, aggregates=(count("number"), *VIEW.aggregates[1:]))
    ratios = (Ratio("share", "number_1h", "d_1h"), Ratio("against", "amount", "number_1h", default=None))
    # Nor does another order of the values.
    chosen = (replace(SET.chosen[0], of={"BE": "sent_1d", "FR": "number_1h"}),)
    assert not list(complaints(replace(SET, views=(renamed, *SET.views[1:]), ratios=ratios, chosen=chosen), EVERY))


def test_a_new_name_of_the_topic_changes_no_meaning_where_the_old_one_is_told() -> None:
    moved = replace(TRANSACTIONS, topic="payments")
    renamed = replace(SET, request=moved, views=tuple(replace(view, source=moved) for view in SET.views))
    assert {c.split("'")[1] for c in complaints(renamed, EVERY)} >= {
        "n_1h",
        "share",
        "amount",
        "night",
        "by_country",
        "known",
    }
    told = replace(moved, recorded_as=TRANSACTIONS.topic)
    same = replace(SET, request=told, views=tuple(replace(view, source=told) for view in SET.views))
    assert meanings_of(same) == EVERY


def test_a_version_does_not_go_back() -> None:
    recorded = meanings_of(features(replace(VIEW, version=3)))
    assert "set version=3 or above" in next(complaints(features(VIEW), recorded))


def test_a_meaning_is_read_as_it_was_written() -> None:
    for meaning in RECORDED.values():
        assert read_meaning(str(meaning)) == meaning

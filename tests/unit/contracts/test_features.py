"""A definition that cannot be right is refused when it is made, with a sentence that says what to change."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.contracts.aggregates import (
    Predicate,
    count,
    decayed_count,
    distinct,
    last,
    last_k,
    last_time,
    mean,
    session_count,
)
from lamina.contracts.features import (
    Elapsed,
    Entity,
    FeatureSet,
    FeatureView,
    Layers,
    Ratio,
    RequestFeature,
    Window,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.definitions.fraud import FRAUD_LABELS, MERCHANT, TRANSACTIONS, USER
from lamina.errors import DefinitionError


def view(**changes: Any) -> FeatureView:
    """A view that is right, but for `changes`."""
    right: dict[str, Any] = {
        "name": "v",
        "entity": USER,
        "source": TRANSACTIONS,
        "owner": "tests",
        "aggregates": (count("n"), mean("amount", "m")),
        "windows": (hours(1), days(1)),
        "resolution": minutes(1),
    }
    return FeatureView(**{**right, **changes})


def test_features_are_named_by_aggregate_and_window() -> None:
    assert [f.name for f in view().features] == ["n_1h", "n_1d", "m_1h", "m_1d"]
    assert [f.name for f in view(windows=(days(1),), suffix=False).features] == ["n", "m"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"resolution": seconds(7)}, "does not divide a day"),
        ({"resolution": hours(1), "windows": (minutes(90),)}, "does not divide 90m"),
        ({"resolution": hours(1), "delay": minutes(30)}, "does not divide 30m"),
        ({"windows": ()}, "has no window"),
        ({"suffix": False}, "suffix=False takes one window"),
        ({"include_request": True, "delay": days(7)}, "never holds the request"),
        ({"aggregates": (mean("amuont", "m"),)}, "unknown column 'amuont'"),
        ({"aggregates": (mean("country", "m"),)}, "mean needs a number"),
        ({"aggregates": (count("n", where=Predicate("nowhere", "=", 1)),)}, "unknown column 'nowhere'"),
        ({"aggregates": (distinct("country", "d", cap=0),)}, "needs cap"),
        ({"aggregates": (distinct("country", "d", cap=2),)}, "at least 3"),
        ({"aggregates": (count("n"), mean("amount", "n"))}, "share a name"),
        ({"windows": (hours(1), Window(days(9), resolution=seconds(7)))}, "7s does not divide a day"),
        ({"windows": (hours(1), Window(minutes(90), resolution=hours(1)))}, "1h does not divide 90m"),
        ({"layers": Layers.BATCH, "windows": (seconds(60),)}, "the batch layer ends at midnight.*add delay=days"),
        ({"layers": Layers.BATCH, "delay": hours(23)}, "the batch layer ends at midnight"),
        ({"entity": Entity("m", "merchant_id", hot=True), "resolution": seconds(1)}, "is hot.*take at least 1m"),
        ({"version": 0}, "versions begin with 1"),
        ({"aggregates": (distinct("amount", "d", cap=9),)}, "is double.*take a string or long column"),
        ({"aggregates": (last_k("country", "l", k=0),)}, "needs k"),
        ({"aggregates": (session_count("s", gap=seconds(30)),)}, "can lie within a tile of 1m"),
        ({"aggregates": (session_count("s", gap=seconds(0)),)}, "longer than nothing"),
        ({"aggregates": (session_count("s", gap=hours(1)),), "delay": hours(1)}, "which session goes on"),
        ({"aggregates": (decayed_count("d", half_life=seconds(1)),), "resolution": hours(1)}, "half-life.*too short"),
        ({"aggregates": (count("n", where=Predicate("amount", "=", "ten")),)}, "is double, compares with 'ten'"),
        ({"aggregates": (count("n", where=Predicate("amount", "=", True)),)}, "is double, compares with True"),
        ({"aggregates": (count("n", where=Predicate("country", ">", 3)),)}, "is string, compares with 3"),
        ({"aggregates": (count("n", where=Predicate("country", "=")),)}, "'is null'"),
        ({"aggregates": (count("n", where=Predicate("country", "is null", "FR")),)}, "leave the value out"),
        ({"source": FRAUD_LABELS, "aggregates": (count("n", where=Predicate("is_fraud", "=", 1)),)}, "True or False"),
        ({"source": FRAUD_LABELS, "aggregates": (last("is_fraud", "l"),)}, "is boolean: count it"),
    ],
)
def test_a_view_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        view(**changes)


def test_a_window_may_have_a_resolution_of_its_own() -> None:
    features = view(windows=(hours(1), Window(days(9), resolution=days(1)))).features
    assert [(f.name, f.resolution) for f in features[:2]] == [("n_1h", minutes(1)), ("n_9d", days(1))]


def test_a_system_without_a_model_has_no_inputs() -> None:
    assert feature_set(model_features=()).names == feature_set().names


def test_time_since_is_a_feature_of_the_set() -> None:
    since = view(name="w", aggregates=(last_time("at"),))
    found = feature_set(views=(view(), since), elapsed=(Elapsed("since", "at_1d"),))
    assert found.names[-2:] == ("r", "since")


COUNTRY = RequestFeature("country", "field", "country", categorical=True)
AMOUNT = RequestFeature("amount", "field", "amount")
SEEN_OF_MERCHANT = view(name="w", entity=MERCHANT, aggregates=(count("seen"),))


def test_a_ratio_may_divide_what_the_request_says() -> None:
    found = feature_set(ratios=(Ratio("r", "amount", "m_1d", default=None),), request_features=(AMOUNT,))
    assert found.names[-2:] == ("r", "amount")


def feature_set(**changes: Any) -> FeatureSet:
    """A feature set that is right, but for `changes`."""
    right: dict[str, Any] = {
        "system": "s",
        "request": TRANSACTIONS,
        "views": (view(),),
        "ratios": (Ratio("r", "n_1h", "n_1d"),),
        "request_features": (),
        "model_features": ("r", "m_1h"),
    }
    return FeatureSet(**{**right, **changes})


def test_a_feature_set_names_its_features_in_order() -> None:
    assert feature_set().names == ("n_1h", "n_1d", "m_1h", "m_1d", "r")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"views": (view(), view(name="w"))}, "names used twice"),
        ({"ratios": (Ratio("r", "n_1h", "gone"),)}, "unknown features .*gone"),
        ({"model_features": ("r", "gone")}, "unknown features .*gone"),
        (
            {"ratios": (Ratio("r", "country", "n_1h"),), "request_features": (COUNTRY,)},
            "'r': .*'country'.* texts: divide numbers",
        ),
        (
            {"ratios": (Ratio("r", "amount", "amount"),), "request_features": (AMOUNT,)},
            "'r': neither part is a window's",
        ),
        ({"ratios": (Ratio("r", "n_1h", "q"), Ratio("q", "n_1h", "n_1d"))}, "'r': .*'q'.* themselves derived"),
        (
            {"ratios": (Ratio("r", "n_1h", "seen_1h"),), "views": (view(), SEEN_OF_MERCHANT)},
            "'r' is made from features of user and merchant",
        ),
        ({"elapsed": (Elapsed("e", "gone"),)}, "unknown features .*gone"),
        ({"elapsed": (Elapsed("e", "n_1h", until="gone"),)}, "unknown features .*gone"),
        ({"elapsed": (Elapsed("e", "n_1h"),)}, "no time to measure from"),
        (
            {"views": (view(), view(name="w", aggregates=(last_k("country", "l", k=2),))), "model_features": ("l_1h",)},
            "are lists",
        ),
        ({"request": FRAUD_LABELS, "views": (view(entity=Entity("card", "card_token")),)}, "no columns .*card_token"),
    ],
)
def test_a_feature_set_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        feature_set(**changes)

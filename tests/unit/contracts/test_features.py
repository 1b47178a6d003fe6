"""A definition that cannot be right is refused when it is made, with a sentence that says what to change."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.contracts.aggregates import Predicate, count, distinct, mean
from lamina.contracts.features import FeatureSet, FeatureView, Ratio, days, hours, minutes, seconds
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS, USER
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
        ({"aggregates": (count("n"), mean("amount", "n"))}, "share a name"),
    ],
)
def test_a_view_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        view(**changes)


def feature_set(**changes: Any) -> FeatureSet:
    """A feature set that is right, but for `changes`."""
    right: dict[str, Any] = {
        "system": "s",
        "request": TRANSACTIONS,
        "labels": FRAUD_LABELS,
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
    ],
)
def test_a_feature_set_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        feature_set(**changes)

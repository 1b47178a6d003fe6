"""A name never silently comes to mean something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamina.contracts.aggregates import Predicate, count, distinct
from lamina.contracts.features import FeatureSet, FeatureView, days, hours, minutes, seconds
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


def test_a_version_does_not_go_back() -> None:
    recorded = meanings_of(features(replace(VIEW, version=3)))
    assert "set version=3 or above" in next(complaints(features(VIEW), recorded))


def test_a_meaning_is_read_as_it_was_written() -> None:
    for meaning in RECORDED.values():
        assert read_meaning(str(meaning)) == meaning

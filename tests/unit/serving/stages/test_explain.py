"""What weighed most, as people read it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lamina.contracts.reasons import Reason
from lamina.contracts.served import FeatureValue
from serving.masking import REQUEST_ID
from serving.stages.explain import explained
from serving.stages.model import Model
from tests.unit.serving.recognisable import Constant


class Weighing(Constant):
    """Names its features by their weight, the heaviest first."""

    def explain(self, features: Mapping[str, FeatureValue]) -> list[tuple[str, float]]:
        return [(name, 4.0 - place) for place, name in enumerate(features)]


def test_the_three_that_weigh_most() -> None:
    found = explained(Model("m", "1", Weighing(0.5)), {"a": 1, "b": 2, "c": 3, "d": 4}, "r")
    assert found == [
        Reason(kind="feature", code=code, detail=f"{code} = {value}", weight=weight)
        for code, value, weight in (("a", 1, 4.0), ("b", 2, 3.0), ("c", 3, 2.0))
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        ("travel", "travel"),
        (0, "0"),
        (0.5, "0.5"),
        (12345.678, "12,345.7"),
        (1234567, "1.23457e+06"),
        ("", ""),
    ],
)
def test_a_value_is_written_for_people(value: FeatureValue, text: str) -> None:
    (found,) = explained(Model("m", "1", Weighing(0.5)), {"a": value}, "r")
    assert found.detail == f"a = {text}"


def test_a_failure_leaves_the_request_that_is_answered_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Weighing, "explain", lambda self, features: 1 / 0)
    before = REQUEST_ID.set("the one around it")
    try:
        assert explained(Model("m", "1", Weighing(0.5)), {}, "r") == []
        assert REQUEST_ID.get() == "the one around it"
    finally:
        REQUEST_ID.reset(before)

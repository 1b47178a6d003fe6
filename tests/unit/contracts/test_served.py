"""The envelope of an answer: what it holds, what it refuses, and the log that is made of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from lamina.contracts.expectations import one_of
from lamina.contracts.served import Served, answers, served_topic
from lamina.errors import ContractError
from lamina.lake.schemas import json_columns, schema_of

ANSWER: dict[str, Any] = {
    "system": "shop",
    "request_id": "r-1",
    "event_id": "view-1",
    "subjects": {"user": "u-1"},
    "outputs": {"purchase": 0.25},
    "models": {"model": {"name": "shop", "version": "7"}},
    "features": {"views_1h": 3.0},
    "seen": {"a": 3},
    "through": {"a": 1_534_000_000_000},
    "timestamp": 1_534_000_000_000,
    "served_at": 1_534_000_000_010,
    "latency_ms": 2.5,
}


def test_an_answer_comes_back_as_it_was_written() -> None:
    served = Served(**ANSWER, payload={"reasons": [{"kind": "rule"}]})
    assert Served.from_json(served.to_json()) == served
    assert (served.fallback, served.shadow, served.candidates) == ("none", False, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subjects", {}),
        ("system", ""),
        ("propensity", 0.0),
        ("propensity", 1.1),
        ("bucket", 10_000),
        ("shadow", "yes"),
        ("candidates", [{"id": "i", "position": -1}]),
        ("models", {"model": {"name": "shop"}}),
        ("latency_ms", -0.1),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_the_field(field: str, value: object) -> None:
    with pytest.raises(ContractError, match=field):
        Served.from_json(orjson.dumps(ANSWER | {field: value}))


def test_the_lake_has_a_column_for_every_field() -> None:
    assert schema_of(Served).names == list(Served.model_fields)
    assert set(json_columns(Served)) >= {"subjects", "candidates", "outputs", "models", "features", "payload"}


def test_its_first_subject_is_its_key() -> None:
    """Answers about one of them stay in order."""
    served = Served(**ANSWER | {"subjects": {"user": "u-1", "item": "i-1"}})
    assert served.key == Served.from_json(served.to_json()).key == "u-1"


def test_what_is_expected_of_answers_is_not_expected_of_shadows() -> None:
    (own,) = answers(one_of("action", "show"))
    (ids,) = [
        e for e in served_topic("shop").suite.expectations if e.name.endswith("unique_values_to_be_between(request_id)")
    ]
    assert own.rows == ids.rows == {"shadow": False}
    assert (own.columns, own.name) == (("action", "shadow"), "expect_column_values_to_be_in_set(action)")
    assert ids.arguments["min_value"] == 0.99


def test_the_log_of_a_system_is_called_after_it_and_may_expect_more() -> None:
    topic = served_topic("shop", most_fallbacks=0.2)
    fallbacks = next(e for e in topic.suite.expectations if e.columns == ("fallback", "shadow"))
    assert (topic.name, topic.contract) == ("predictions-shop", Served)
    assert (fallbacks.severity, fallbacks.arguments["mostly"]) == ("warning", 0.8)

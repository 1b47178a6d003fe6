"""The suite of each topic that is kept in the lake: those of the systems' records, and the platform's own."""

from __future__ import annotations

from lamina.catalog import EVENT_TOPICS
from lamina.contracts.expectations import (
    LATENESS,
    Expectation,
    Suite,
    between,
    in_time,
    mostly_unique,
    one_of,
    present,
    some_rows,
)
from lamina.contracts.topics import MODEL_PREDICTIONS
from lamina.errors import DefinitionError

PREDICTIONS = Suite(
    MODEL_PREDICTIONS,
    LATENESS,
    (
        some_rows(),
        *present("request_id", "transaction_id", "user_id", "merchant_id", "action", "features"),
        mostly_unique("request_id", 0.99, "an id a request"),
        between("score", 0, 1),
        one_of("action", "approve", "review", "reject"),
        Expectation(
            "expect_column_values_to_be_in_set",
            {"column": "fallback", "value_set": ["none"], "mostly": 0.5},
            "warning",
            "most decisions were made without the model",
        ),
        between("latency_ms", 0, None),
        *in_time(),
    ),
)

SUITES: dict[str, Suite] = {
    **{name: events.suite for name, events in EVENT_TOPICS.items()},
    MODEL_PREDICTIONS: PREDICTIONS,
}


def suite_of(topic: str) -> Suite:
    """The suite of `topic`.

    Raises: DefinitionError: when it has none.
    """
    if topic not in SUITES:
        raise DefinitionError(f"no expectation suite for topic {topic!r}; there are {', '.join(SUITES)}")
    return SUITES[topic]

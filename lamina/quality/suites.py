"""The suite of each topic that is kept in the lake."""

from __future__ import annotations

from datetime import timedelta

from lamina.contracts.topics import FRAUD_LABELS, MODEL_PREDICTIONS, TRANSACTIONS, USER_EVENTS
from lamina.errors import DefinitionError
from lamina.quality.expectations import (
    Expectation,
    Suite,
    between,
    in_time,
    matches,
    mostly_unique,
    one_of,
    present,
    some_rows,
)

COUNTRY = "^[A-Z]{2}$"
LATENESS = timedelta(days=7)
"""As long as Kafka keeps an event: what is older was replayed, not late."""

SUITES: dict[str, Suite] = {
    TRANSACTIONS: Suite(
        TRANSACTIONS,
        LATENESS,
        (
            some_rows(),
            *present("transaction_id", "user_id", "card_token", "merchant_id"),
            mostly_unique("transaction_id", 0.9, "repeated ids are dropped: many of them mean a producer that repeats"),
            between("amount", -1e6, 1e6, mostly=0.9999, why="minor units sent as major ones"),
            between("amount", 0, None, mostly=0.5, severity="warning", why="most amounts are refunds"),
            matches("currency", "^[A-Z]{3}$"),
            Expectation(
                "expect_column_unique_value_count_to_be_between",
                {"column": "currency", "max_value": 1},
                why="amounts of several currencies would be added up",
            ),
            matches("country", COUNTRY),
            matches("user_country", COUNTRY),
            one_of("transaction_type", "in_store", "online", "atm", "transfer"),
            Expectation(
                "expect_column_proportion_of_non_null_values_to_be_between",
                {"column": "location_lat", "min_value": 0.05},
                "warning",
                "without locations no impossible velocity is found",
            ),
            between("location_lat", -90, 90),
            between("location_lon", -180, 180),
            *in_time(),
        ),
    ),
    USER_EVENTS: Suite(
        USER_EVENTS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "user_id", "item_id", "session_id"),
            mostly_unique("event_id", 0.9, "repeated ids are dropped: many of them mean a producer that repeats"),
            one_of("event_type", "page_view", "click", "cart", "purchase"),
            between("purchase_amount", 0, 1e6, mostly=0.9999, why="minor units sent as major ones"),
            *in_time(),
        ),
    ),
    FRAUD_LABELS: Suite(
        FRAUD_LABELS,
        LATENESS,
        (
            some_rows(),
            *present("transaction_id", "user_id", "merchant_id", "is_fraud"),
            mostly_unique(
                "transaction_id", 0.5, "a transaction may have several labels; a day of repeats is a faulty producer"
            ),
            one_of("source", "chargeback", "analyst", "customer", "simulator"),
            Expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": "timestamp", "column_B": "transaction_timestamp", "or_equal": True, "mostly": 0.999},
                why="a label known before its transaction",
            ),
            *in_time(),
        ),
        # Chargebacks and reviews come in working hours.
        silence="warning",
    ),
    MODEL_PREDICTIONS: Suite(
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
    ),
}


def suite_of(topic: str) -> Suite:
    """The suite of `topic`.

    Raises: DefinitionError: when it has none.
    """
    if topic not in SUITES:
        raise DefinitionError(f"no expectation suite for topic {topic!r}; there are {', '.join(SUITES)}")
    return SUITES[topic]

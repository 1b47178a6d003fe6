"""Card transactions (topic `transactions`) and what is learnt of them later (topic `fraud-labels`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lamina.contracts.base import TOKEN, CountryCode, EpochMs, Event, Identifier, Label, Number, Truth
from lamina.contracts.cards import IS_CARD_NUMBER, holds_card_number
from lamina.contracts.expectations import (
    LATENESS,
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
from lamina.contracts.ids import id_text
from lamina.contracts.topics import EventTopic, Topic

TRANSACTIONS, FRAUD_LABELS = "transactions", "fraud-labels"

COUNTRY = "^[A-Z]{2}$"

MAX_AMOUNT = 1e9


def _to_token(value: object) -> object:
    """Text as the token it says; what is no text is left to the field's type to refuse."""
    if not isinstance(value, str):
        return value
    token = id_text(value)
    if holds_card_number(token):
        raise ValueError(IS_CARD_NUMBER)
    return token


CardToken = Annotated[
    str,
    Field(min_length=4, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$", json_schema_extra={"format": TOKEN}),
    BeforeValidator(_to_token),
]
"""What stands for a card, by the rule of ids. One that holds 12 to 19 digits, with separators, behind a prefix or
neither, is refused: it is a card number.
"""


class Location(BaseModel):
    """A point on Earth in decimal degrees (WGS 84)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lat: Number = Field(ge=-90, le=90)
    lon: Number = Field(ge=-180, le=180)


class Transaction(Event):
    """One attempt to pay with a card, as the acquirer saw it.

    >>> Transaction.from_json(b'{"transaction_id": 7}')
    Traceback (most recent call last):
    lamina.errors.ContractError: Transaction.transaction_id: Input should be a valid string
    """

    transaction_id: Identifier
    user_id: Identifier
    card_token: CardToken = Field(repr=False)
    amount: Number = Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, description="In units of `currency`; a refund is negative.")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    merchant_id: Identifier
    merchant_category: Label
    country: CountryCode
    user_country: CountryCode
    transaction_type: Literal["in_store", "online", "atm", "transfer"]
    device_type: Label
    location: Location | None = None
    timestamp: EpochMs


LabelSource = Literal["chargeback", "analyst", "customer", "simulator"]
"""Who says so: a bank, someone who looked into it, the card's owner, or a world that was made up."""


class FraudLabel(Event):
    """What was learnt about a transaction, at `timestamp`; usually days after the transaction itself.

    `source` is who says so. A transaction may have several labels; a definition's `Revisions` says which one stands.
    """

    transaction_id: Identifier
    user_id: Identifier
    merchant_id: Identifier
    is_fraud: Truth
    scenario: Label | None = Field(None, description="How the fraud was done, where that is known.")
    source: LabelSource
    transaction_timestamp: EpochMs
    timestamp: EpochMs


TRANSACTION_TOPIC = EventTopic(
    topic=Topic(TRANSACTIONS),
    contract=Transaction,
    suite=Suite(
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
)

LABEL_TOPIC = EventTopic(
    topic=Topic(FRAUD_LABELS),
    contract=FraudLabel,
    suite=Suite(
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
)

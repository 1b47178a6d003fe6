"""The contract of a transaction accepts what it should, and names the field where it does not."""

from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.errors import ContractError

VALID = {
    "transaction_id": "t1",
    "user_id": "u1",
    "card_token": "tok_1",
    "amount": 12.5,
    "currency": "EUR",
    "merchant_id": "m1",
    "merchant_category": "grocery",
    "country": "FR",
    "user_country": "BE",
    "transaction_type": "in_store",
    "device_type": "terminal",
    "location": {"lat": 48.85, "lon": 2.35},
    "timestamp": 1_533_686_400_000,
}


def test_json_keeps_every_field() -> None:
    transaction = Transaction.model_validate(VALID)
    assert Transaction.from_json(transaction.to_json()) == transaction


@pytest.mark.parametrize("text", ["2018-08-08T00:00:00Z", "2018-08-08T02:00:00+02:00", "2018-08-08 00:00:00"])
def test_iso_time_becomes_epoch_milliseconds(text: str) -> None:
    assert Transaction.model_validate({**VALID, "timestamp": text}).timestamp == VALID["timestamp"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", ""),
        ("user_id", "a\x1fb"),
        ("merchant_id", "a\tb"),
        ("card_token", "4546913736785082"),
        ("amount", float("nan")),
        ("amount", 2e9),
        ("currency", "eur"),
        ("country", "FRA"),
        ("transaction_type", "barter"),
        ("location", {"lat": 91, "lon": 0}),
        ("timestamp", 1_533_686_400),
        ("timestamp", "yesterday"),
    ],
)
def test_a_broken_field_is_named_and_its_value_is_not_repeated(field: str, value: object) -> None:
    raw = Transaction.model_construct(**{**VALID, field: value}).model_dump_json(warnings=False).encode()  # type: ignore[arg-type]
    with pytest.raises(ContractError) as caught:
        Transaction.from_json(raw)
    assert caught.value.field.partition(".")[0] == field
    if field == "card_token":
        assert str(value) not in str(caught.value)


def test_a_writer_is_held_to_the_fields_there_are_and_a_reader_passes_over_others() -> None:
    more = {**VALID, "extra": 1, "location": {"lat": 1.0, "lon": 2.0, "extra": 1}}
    with pytest.raises(ValidationError, match="extra") as caught:
        Transaction.model_validate(more)
    assert {e["loc"] for e in caught.value.errors()} == {("extra",), ("location", "extra")}
    known = {**VALID, "location": {"lat": 1.0, "lon": 2.0}}
    assert Transaction.from_json(orjson.dumps(more)) == Transaction.model_validate(known)


def test_a_label_says_when_it_was_learnt() -> None:
    label = FraudLabel(
        transaction_id="t1",
        user_id="u1",
        merchant_id="m1",
        is_fraud=True,
        source="chargeback",
        transaction_timestamp=1_533_686_400_000,
        timestamp=1_534_000_000_000,
    )
    assert FraudLabel.from_json(label.to_json()).timestamp > label.transaction_timestamp

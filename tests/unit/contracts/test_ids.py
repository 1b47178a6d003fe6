from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from lamina.contracts.ids import MISSING, NO_TEXT, ROUNDED, id_of
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.errors import ContractError

SAME = [
    (596, "596"), (596.0, "596"), ("596", "596"), ("596.0", "596"), ("596.", "596"), ("596.000", "596"),
    (" 596 ", "596"), ("\u00a0596\u2003", "596"), ("\ufeff596", "596"), (Decimal("596.00"), "596"), (b"596", "596"),
    (0, "0"), (-0.0, "0"), ("-0.0", "0"), (-7.0, "-7"), ("007", "007"), ("007.0", "007.0"), ("+7", "+7"),
    (2**53, str(2**53)), (2**64 + 1, str(2**64 + 1)), (str(2**64 + 1), str(2**64 + 1)), (2.0**53 - 1, str(2**53 - 1)),
    (7.5, "7.5"), ("7.50", "7.50"), ("12e4", "12e4"), ("u 1", "u 1"), ("nano", "nano"), ("a-", "a-"),
    ("N/A 1", "N/A 1"),
]  # fmt: skip
NONE = [
    None, float("nan"), "", " ", "\u00a0", "NULL", "null", "nan", "NaN", "None", "none", "N/A", "n/a", "NA", "\\N", "-",
    "#N/A", "<NA>", "(null)", "NaT", " NULL ", "undefined",
]  # fmt: skip
INEXACT = [
    "4.0E+15", "4.00000E+15", "4E+15", "4.0e15", "4,0E+15", "-1.5E+3", "1.2345678E7", ".5E9", 2.0**53, -(2.0**53),
    1e300,
    float("inf"), f"{2**53}.0", Decimal("Infinity"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), SAME)
def test_an_id_is_one_text_however_it_was_written(value: object, text: str) -> None:
    assert id_of(value) == text


@pytest.mark.parametrize("value", NONE)
def test_what_programs_write_for_nothing_is_missing(value: object) -> None:
    with pytest.raises(ValueError, match=MISSING):
        id_of(value)


@pytest.mark.parametrize("value", INEXACT)
def test_what_may_have_been_rounded_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=ROUNDED):
        id_of(value)


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, object()])
def test_what_is_neither_text_nor_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=NO_TEXT):
        id_of(value)


TRANSACTION = {
    "transaction_id": "t1", "user_id": "u1", "card_token": "card-1", "amount": 1.0, "currency": "EUR",
    "merchant_id": "m1",
    "merchant_category": "food", "country": "BE", "user_country": "BE", "transaction_type": "in_store",
    "device_type": "terminal", "timestamp": 1_533_686_400_000,
}  # fmt: skip
LABEL = {
    "transaction_id": "t1", "user_id": "u1", "merchant_id": "m1", "is_fraud": True, "source": "analyst",
    "transaction_timestamp": 1_533_686_400_000, "timestamp": 1_533_686_500_000,
}  # fmt: skip


@pytest.mark.parametrize("field", ["transaction_id", "user_id", "merchant_id"])
@pytest.mark.parametrize(("value", "text"), [pair for pair in SAME if isinstance(pair[0], str)])
def test_events_follow_the_rule(field: str, value: str, text: str) -> None:
    """Who writes may say it in any way; on a topic it stands as the rule has it, since engines see its bytes alone."""
    for contract, event in ((Transaction, TRANSACTION), (FraudLabel, LABEL)):
        raw = orjson.dumps(event | {field: value})
        taken = contract.model_validate_json(raw)
        assert getattr(taken, field) == text
        assert contract.from_json(taken.to_json()) == taken
        if value != text:
            with pytest.raises(ContractError, match=rf"{field}: is not written as on a topic"):
                contract.from_json(raw)


@pytest.mark.parametrize("field", ["transaction_id", "user_id", "merchant_id", "card_token"])
@pytest.mark.parametrize("value", [*(v for v in (*NONE, *INEXACT) if isinstance(v, str)), "\t", "a\n", 7, True])
def test_events_refuse_what_is_no_id(field: str, value: object) -> None:
    with pytest.raises(ContractError, match=field):
        Transaction.from_json(orjson.dumps(TRANSACTION | {field: value}))


def test_the_length_is_that_of_the_id() -> None:
    padded = TRANSACTION | {"user_id": " " + "u" * 128 + " "}
    assert Transaction.model_validate_json(orjson.dumps(padded)).user_id == "u" * 128

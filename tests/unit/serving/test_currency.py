"""The API takes amounts in the installation's currency alone."""

from __future__ import annotations

import pytest

from lamina.contracts.predictions import Question
from lamina.contracts.transactions import Transaction
from lamina.errors import ContractError
from serving.currency import OneCurrency
from tests.values import TRANSACTION

EUROS, DOLLARS = (Transaction.model_validate({**TRANSACTION, "currency": code}) for code in ("EUR", "USD"))


def question(**context: object) -> Question:
    return Question.model_validate({"user_id": "u", "item_id": "i", "context": context})


def test_another_currency_is_refused_by_its_place() -> None:
    only = OneCurrency("EUR")
    assert (only.is_other(EUROS), only.is_other(DOLLARS)) == (False, True)
    only.refuse([EUROS, EUROS])
    for events, field in (
        ([DOLLARS], "currency"),
        ([EUROS, DOLLARS], "1.currency"),
        ([question(currency="USD")], "context.currency"),
    ):
        with pytest.raises(ContractError, match=r"in EUR \(LAMINA_CURRENCY\)") as refused:
            only.refuse(events)
        assert refused.value.field == field
        assert "USD" not in str(refused.value)
    only.refuse([question(), question(currency="EUR")])

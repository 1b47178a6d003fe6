"""Whom an experiment can be about: conditions held against the contract of a transaction when they are loaded."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import TypeAdapter, ValidationError

from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, not_milliseconds
from lamina.contracts.transactions import MAX_AMOUNT, Transaction
from lamina.experiments.experiment import Condition

FIELDS = frozenset(Transaction.model_fields) - {"card_token", "location"}
"""What targeting may speak of: the simple fields of a transaction, and never the card."""

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(cast(Any, Annotated[field.annotation, field]))
    for name, field in Transaction.model_fields.items()
    if name in FIELDS
}
NUMBERS = {"amount": (-MAX_AMOUNT, MAX_AMOUNT), "timestamp": (MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS)}
"""The fields that are numbers: their smallest and largest value."""


def never_holds(condition: Condition) -> str | None:
    """Why no transaction that keeps its contract fulfils `condition`, or None where one may.

    >>> never_holds(Condition(field="country", one_of=("Portugal",)))
    "no transaction has the country 'Portugal'"
    """
    name = condition.field
    if condition.one_of is not None:
        if name in NUMBERS:
            return f"{name} is a number: give `at_least`, `below` or both"
        wrong = [value for value in condition.one_of if not _is_value(name, value)]
        return f"no transaction has the {name} {', '.join(map(repr, wrong))}" if wrong else None
    if name not in NUMBERS:
        return f"{name} is a text: give `one_of`"
    smallest, largest = NUMBERS[name]
    if condition.at_least is not None and condition.at_least > largest:
        return f"no transaction has {name} {condition.at_least:g} or more"
    if name == "timestamp" and condition.at_least is not None and condition.at_least < smallest:
        return f"at_least {not_milliseconds(condition.at_least)}"
    if condition.below is not None and condition.below <= smallest:
        return f"no transaction has {name} below {condition.below:g}"
    return None


def _is_value(name: str, value: str) -> bool:
    try:
        return bool(_ADAPTERS[name].validate_python(value) == value)
    except ValidationError:
        return False

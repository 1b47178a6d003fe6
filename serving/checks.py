"""What everything that a client sends is held against before anybody uses it. Hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pydantic import BaseModel

from lamina.contracts.predictions import Question
from lamina.errors import ContractError
from serving.card_numbers import IN_AN_ID, CardNumbers
from serving.currency import OneCurrency
from serving.masking import TOKENS


class Checks:
    """No card numbers in ids, and one currency; and what is secret in an event is kept out of its log lines.

    Args: currency: none: amounts may be in any.
    """

    def __init__(self, card_numbers: CardNumbers, currency: OneCurrency | None = None) -> None:
        self._card_numbers, self._currency = card_numbers, currency

    def take(self, events: Sequence[BaseModel]) -> None:
        """Mask from here on what is secret in `events`.

        Raises: ContractError: one of them holds a card number, or is in another currency.
        """
        TOKENS.set(secrets_of(events))
        self._card_numbers.refuse(events)
        if self._currency is not None:
            self._currency.refuse(events)

    def subjects(self, contract: str, ids: Mapping[str, str]) -> None:
        """Look into ids that stand in a map, by the names of the fields that they would be in.

        Raises: ContractError: one of them holds a card number.
        """
        if name := self._card_numbers.among(ids):
            raise ContractError(contract, name, IN_AN_ID)

    def passes(self, event: BaseModel) -> bool:
        """Whether `take` raises nothing; masks what is secret in `event`, as that does."""
        TOKENS.set(secrets_of((event,)))
        if self._currency is not None and self._currency.is_other(event):
            return False
        return self._card_numbers.field(event) is None


def secrets_of(events: Sequence[BaseModel]) -> tuple[str, ...]:
    """What no log line may repeat: the values of fields that their contract leaves out of `repr`.

    >>> from lamina.contracts.transactions import Transaction
    >>> secrets_of([Transaction.model_construct(card_token="card-1")])
    ('card-1',)
    """
    return tuple(value for event in events for value in _secrets(event))


def _secrets(event: BaseModel) -> list[str]:
    if isinstance(event, Question):
        token = event.context.get("card_token")
        return [token] if isinstance(token, str) and token else []
    found = (getattr(event, name) for name in _secret_fields(type(event)))
    # What was left out is no secret: an empty text is in every line.
    return [value for value in found if isinstance(value, str) and value]


@lru_cache
def _secret_fields(contract: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name, field in contract.model_fields.items() if not field.repr)

"""Card numbers in ids: refused in the fields that the settings name. `CardNumbers.field` is hot path."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel

from lamina.contracts.cards import IS_CARD_NUMBER, holds_card_number, is_card_like
from lamina.contracts.predictions import Question
from lamina.errors import ContractError

IN_AN_ID = (
    "looks like a card number: send an id that stands for it; LAMINA_REFUSE_CARD_NUMBERS_IN names the fields that are "
    "looked into"
)


class CardNumbers:
    """Looks into the ids of what clients send.

    Args: fields: names of ids that may not have the length, first digits and check digit of a card number.
    """

    def __init__(self, fields: Collection[str]) -> None:
        self._fields = tuple(sorted(fields))

    def among(self, ids: Mapping[str, str]) -> str | None:
        """The first of `ids`, by the name of the field that it would be in, that holds a card number, or None."""
        return next((name for name in self._fields if name in ids and is_card_like(ids[name])), None)

    def field(self, event: BaseModel) -> str | None:
        """The first field of `event` that holds a card number, or None."""
        for name in self._fields:
            value = getattr(event, name, None)
            if isinstance(value, str) and is_card_like(value):
                return name
        return None

    def refuse(self, events: Sequence[BaseModel]) -> None:
        """Raise: ContractError: when an event holds a card number; names its place among several, never the number."""
        for place, event in enumerate(events):
            name, reason = self.field(event), IN_AN_ID
            if name is None and isinstance(event, Question):
                token = event.context.get("card_token")
                if isinstance(token, str) and holds_card_number(token):
                    name, reason = "context.card_token", IS_CARD_NUMBER
            if name is not None:
                raise ContractError(type(event).__name__, name if len(events) == 1 else f"{place}.{name}", reason)

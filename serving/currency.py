"""Amounts are added up, so they are all in one currency: the installation's. `OneCurrency.is_other` is hot path."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from lamina.contracts.predictions import Question
from lamina.errors import ContractError


class OneCurrency:
    """Refuses amounts in any other than `code` (ISO 4217), which would be added up as if they were in it."""

    def __init__(self, code: str) -> None:
        self._code = code

    def is_other(self, event: BaseModel) -> bool:
        """Whether the event's amount is in another currency."""
        return getattr(event, "currency", self._code) != self._code

    def refuse(self, events: Sequence[BaseModel]) -> None:
        """Raise: ContractError: when one is in another currency; names its place among several."""
        for place, event in enumerate(events):
            name, given = "currency", getattr(event, "currency", None)
            if isinstance(event, Question):
                name, given = "context.currency", event.context.get("currency")
            if given is not None and given != self._code:
                raise ContractError(
                    type(event).__name__,
                    name if len(events) == 1 else f"{place}.{name}",
                    f"amounts here are in {self._code} (LAMINA_CURRENCY) and are added up: convert before sending",
                )

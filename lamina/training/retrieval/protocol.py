"""What makes a retriever: settings as data, and a fit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Protocol

from lamina.errors import LaminaError
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.protocol import Retriever


class TooMuch(LaminaError):
    """A method that cannot be used on so many items."""


class BadSetting(LaminaError):
    """A setting of a method that is out of its range."""


class Method(Protocol):
    """Settings of one way to make retrievers: a frozen dataclass, whose fields are what a search chooses from."""

    name: ClassVar[str]

    def fit(self, seen: Interactions) -> Retriever:
        """What `seen` says. The same interactions and settings give the same retriever.

        Raises: TooMuch: there are more items than the method can hold; InteractionsError: it needs times, and none are
        known.
        """


def settings_of(method: Any) -> dict[str, float | int | str | bool | None]:
    """Its settings by name, those of its parts among them; what it is given to learn from is none.

    >>> from lamina.training.retrieval.ease import Ease
    >>> settings_of(Ease(regularisation=500.0))
    {'regularisation': 500.0}
    """
    found: dict[str, float | int | str | bool | None] = {}
    for each in fields(method):
        value = getattr(method, each.name)
        if isinstance(value, float | int | str | bool) or value is None:
            found[each.name] = value
        elif each.name == "settings" and is_dataclass(value):
            found |= settings_of(value)
    return found

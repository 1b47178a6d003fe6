"""What makes a retriever: settings as data, and a fit."""

from __future__ import annotations

from dataclasses import asdict
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


def settings_of(method: Any) -> dict[str, Any]:
    """Its settings by name.

    >>> from lamina.training.retrieval.ease import Ease
    >>> settings_of(Ease(regularisation=500.0))
    {'regularisation': 500.0}
    """
    return asdict(method)

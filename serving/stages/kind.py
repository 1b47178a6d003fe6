"""What the requests of a system are, from its record. Hot path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from lamina.contracts.base import Event
from lamina.contracts.systems import System
from lamina.contracts.topics import predictions_of
from lamina.errors import DefinitionError

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class RequestKind(Generic[E]):
    """The events that a system is asked about: they keep `contract`, that of its record's topic or a narrower one.

    Raises: DefinitionError: the system's answers have no topic, or an event may lack what they name.

    >>> from lamina.contracts.transactions import Transaction
    >>> from lamina.definitions.fraud import SYSTEM
    >>> kind = RequestKind(SYSTEM, Transaction)
    >>> kind.topic, kind.id, kind.unit, kind.subjects
    ('transactions', 'transaction_id', 'user_id', (('user', 'user_id'), ('merchant', 'merchant_id')))
    """

    record: System
    contract: type[E]

    def __post_init__(self) -> None:
        if self.record.served is None:
            raise DefinitionError(
                f"system {self.record.name!r} answers requests: describe topic {predictions_of(self.record.name)!r}"
            )
        named, fields = (self.id, self.time, *(key for _, key in self.subjects)), self.contract.model_fields
        if lacking := [name for name in named if name not in fields or not fields[name].is_required()]:
            raise DefinitionError(
                f"system {self.record.name!r}: not every {self.contract.__name__} has {lacking}, which its answer "
                "would name: take a narrower contract"
            )

    @cached_property
    def system(self) -> str:
        """The system's name."""
        return self.record.name

    @cached_property
    def topic(self) -> str:
        """Where the requests are published."""
        return self.record.features.request.topic

    def of_topic(self, value: bytes) -> Event:
        """An event of that topic, which may be none that the system is asked about.

        Raises: ContractError: it is none of the topic.
        """
        found = (each.contract for each in self.record.topics if each.name == self.topic)
        return next(found, self.contract).from_json(value)

    @cached_property
    def answers(self) -> str:
        """Where the answers are."""
        return predictions_of(self.record.name)

    @cached_property
    def id(self) -> str:
        """The field of the event's id."""
        return self.record.features.request.id

    @cached_property
    def time(self) -> str:
        """The field of the event's time."""
        return self.record.features.request.timestamp

    @cached_property
    def subjects(self) -> tuple[tuple[str, str], ...]:
        """Entities, each with the field that names one."""
        return tuple((entity.name, entity.key) for entity in self.record.entities)

    @cached_property
    def unit(self) -> str:
        """The field of the first subject, which an experiment divides, and which is the key of what is published."""
        return self.subjects[0][1]

    @cached_property
    def noun(self) -> str:
        """What a request is called in a sentence."""
        return noun_of(self.contract)

    @cached_property
    def _nested(self) -> tuple[str, ...]:
        columns = [column.partition(".") for column in self.record.features.request.columns]
        return tuple(dict.fromkeys(name for name, dot, _ in columns if dot))

    def row(self, event: E) -> dict[str, object]:
        """The fields of `event`, as `model_dump` gives them, in a third of the time."""
        row = dict(vars(event))
        for name in self._nested:
            if row[name] is not None:
                row[name] = dict(vars(row[name]))
        return row


def noun_of(contract: type[Event]) -> str:
    """What an event of `contract` is called in a sentence.

    >>> from lamina.contracts.user_events import UserEvent
    >>> noun_of(UserEvent)
    'user event'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", contract.__name__).lower()

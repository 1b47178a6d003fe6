"""Whom an experiment can be about: conditions held against a system's requests when they are loaded."""

from __future__ import annotations

from typing import Annotated, Any, cast, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from lamina.contracts.base import Event
from lamina.contracts.epoch import MIN_TIMESTAMP_MS, not_milliseconds
from lamina.experiments.experiment import Condition
from serving.stages.kind import noun_of


class Targets:
    """What targeting may speak of: the simple fields of the events of `contract`, and never what is secret in them.

    >>> from lamina.contracts.user_events import UserEvent
    >>> Targets(UserEvent).never_holds(Condition(field="event_type", one_of=("glance",)))
    "no user event has the event_type 'glance'"
    """

    def __init__(self, contract: type[Event]) -> None:
        simple = {name: f for name, f in contract.model_fields.items() if f.repr and not _is_nested(f.annotation)}
        self._noun = noun_of(contract)
        self._numbers = {name: _bounds(field) for name, field in simple.items() if _is_number(field.annotation)}
        self._adapters: dict[str, TypeAdapter[Any]] = {
            name: TypeAdapter(cast(Any, Annotated[field.annotation, field])) for name, field in simple.items()
        }
        self.fields = frozenset(simple)

    def never_holds(self, condition: Condition) -> str | None:
        """Why no request that keeps its contract fulfils `condition`, or None where one may."""
        name = condition.field
        if condition.one_of is not None:
            if name in self._numbers:
                return f"{name} is a number: give `at_least`, `below` or both"
            wrong = [value for value in condition.one_of if not self._is_value(name, value)]
            return f"no {self._noun} has the {name} {', '.join(map(repr, wrong))}" if wrong else None
        if name not in self._numbers:
            return f"{name} is a text: give `one_of`"
        smallest, largest = self._numbers[name]
        if condition.at_least is not None and largest is not None and condition.at_least > largest:
            return f"no {self._noun} has {name} {condition.at_least:g} or more"
        if smallest is None:
            return None
        if smallest == MIN_TIMESTAMP_MS and condition.at_least is not None and condition.at_least < smallest:
            return f"at_least {not_milliseconds(condition.at_least)}"
        if condition.below is not None and condition.below <= smallest:
            return f"no {self._noun} has {name} below {condition.below:g}"
        return None

    def _is_value(self, name: str, value: str) -> bool:
        try:
            return bool(self._adapters[name].validate_python(value) == value)
        except ValidationError:
            return False


def _parts(kind: object) -> list[object]:
    """The types that a field may have, None left out."""
    if get_origin(kind) is Annotated:
        return _parts(kind.__origin__)  # type: ignore[attr-defined]
    arguments = getattr(kind, "__args__", None)
    if arguments is not None and type(None) in arguments:
        return [part for each in arguments if each is not type(None) for part in _parts(each)]
    return [kind]


def _is_nested(kind: object) -> bool:
    return any(isinstance(part, type) and issubclass(part, BaseModel) for part in _parts(kind))


def _is_number(kind: object) -> bool:
    return all(part in (int, float) for part in _parts(kind))


def _bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """The smallest and the largest value, None where there is none."""
    found: dict[str, float | None] = {"ge": None, "le": None}
    for each in field.metadata:
        for name in found:
            found[name] = getattr(each, name, found[name])
    return found["ge"], found["le"]

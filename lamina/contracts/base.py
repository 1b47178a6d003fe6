"""What every event has in common: strict fields, epoch milliseconds on the wire, errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, not_milliseconds, rounded_ms
from lamina.contracts.ids import id_text
from lamina.errors import ContractError

ID, TOKEN = "id", "card-token"
"""What the schema of a contract calls a text that follows the rule of ids, and one that stands for a card besides."""

TEXT = r"^[^\x00-\x1f\x7f\ufffd]+$"
"""No control characters, as they separate fields in stored tiles; nor U+FFFD, which stands for what could not be read:
two ids that were broken on the way would become one.
"""

REWRITTEN = "is not written as on a topic: send it through the API, which reads it, or write it as the contract does"

WHOLE = "(whole event)"
"""What a complaint names that is about no single field."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _to_epoch_ms(value: object) -> object:
    """ISO-8601 text and datetimes become epoch milliseconds; a text without a zone is UTC. Numbers pass unchanged or
    are refused by the name of their unit.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be epoch milliseconds or ISO-8601, such as 2018-08-08T12:00:00Z") from None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return rounded_ms((aware - _EPOCH) // timedelta(microseconds=1))
    if isinstance(value, (int, float)) and not MIN_TIMESTAMP_MS <= value <= MAX_TIMESTAMP_MS:
        raise ValueError(not_milliseconds(value))
    return value


EpochMs = Annotated[int, Field(ge=MIN_TIMESTAMP_MS, le=MAX_TIMESTAMP_MS, strict=True), BeforeValidator(_to_epoch_ms)]
"""Milliseconds since the epoch, UTC; ISO-8601 is accepted and converted. Another unit is refused by its name."""

Number = Annotated[float, Field(strict=True)]
"""A number, and nothing that could be read as one: neither `true` nor `"1_000"`."""

Truth = Annotated[bool, Field(strict=True)]
"""`true` or `false`, and nothing that could be read as one of them."""

RequestId = Annotated[str, Field(min_length=1, max_length=128, pattern=TEXT)]
"""What a request is found again by, taken as it is: 1 to 128 characters, none of them control characters."""


def _to_id(value: object) -> object:
    """Text as the id it says; what is no text, or empty, is left to the field's type to refuse."""
    return id_text(value) if isinstance(value, str) and value else value


Identifier = Annotated[RequestId, BeforeValidator(_to_id), Field(json_schema_extra={"format": ID})]
"""An opaque id, by the rule of `lamina.contracts.ids`: 1 to 128 characters, no control characters (they separate fields
in stored tiles).
"""

Label = Annotated[str, Field(min_length=1, max_length=64, pattern=TEXT)]
"""A short categorical value, same alphabet as an identifier."""

CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2; `ZZ` where the country is not known."""


class Event(BaseModel):
    """An immutable message on a topic. `to_json` and `from_json` are its only wire format.

    Who writes is held to the fields that there are; who reads passes over those that a newer writer has added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    only_with: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Fields that an event has if another one has a certain value, and only then."""

    @classmethod
    def trusted(cls, **fields: Any) -> Self:
        """The event of these fields, all of them and in the contract's order, taken as they are: hot path.

        For values that were validated where they came from: `model_construct` takes ten times as long.
        """
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", fields)
        object.__setattr__(made, "__pydantic_fields_set__", set(fields))
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made

    @property
    def key(self) -> str | None:
        """What its message is keyed by, so that those of one key stay in order: its `user_id`, where it has one."""
        return getattr(self, "user_id", None)

    def to_json(self) -> bytes:
        """The event as UTF-8 JSON, keys in the contract's order."""
        return json_of(vars(self))

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """The event held in `raw`, without fields that this version does not know.

        What is on a topic is read by engines that see its bytes alone: a field that the contract would have to write in
        another way, such as a time as text or an id with blanks around it, is refused.

        Raises: ContractError: names the first offending field; never repeats its value, which may be a secret.
        """
        try:
            event = cls.model_validate_json(raw, extra="ignore")
        except ValidationError as error:
            raise contract_error(cls.__name__, error) from None
        try:
            written = event.to_json()
        except TypeError as error:
            # Such as an integer of more than 64 bits: nobody who reads the event could pass it on.
            raise ContractError(cls.__name__, WHOLE, f"cannot be written: {error}") from None
        if written != raw:
            found = vars(event)
            for name, given in from_json(raw).items():
                if isinstance(given, str | int | float) and found.get(name, given) != given:
                    raise ContractError(cls.__name__, name, REWRITTEN)
        return event


def json_of(fields: Mapping[str, object]) -> bytes:
    """Fields of an event, events among their values, as UTF-8 JSON.

    >>> json_of({"a": 1.5, "b": None})
    b'{"a":1.5,"b":null}'
    """
    return orjson.dumps(fields, default=vars)


def contract_error(contract: str, error: ValidationError) -> ContractError:
    """The first of pydantic's complaints as a `ContractError`, without the offending value."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or WHOLE
    return ContractError(contract, field, first["msg"])

"""Columns of each topic in the lake, made from its contract: in the contract's order, with the contract's types.

Lists and maps are kept as JSON text, so that numbers and texts in them stay what they are. A column may be null where
the contract's field may be None. Times are epoch milliseconds.
"""

from __future__ import annotations

from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import orjson
import pyarrow as pa
from pydantic import BaseModel

from lamina.catalog import EVENT_TOPICS
from lamina.contracts.base import Event
from lamina.errors import DefinitionError

PLAIN = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def schema_of(contract: type[BaseModel]) -> pa.Schema:
    """The columns of the events of `contract`, without their place in Kafka.

    Raises: DefinitionError: a field is of a type that no column has.

    >>> from lamina.contracts.transactions import FraudLabel
    >>> schema_of(FraudLabel).field("scenario")
    pyarrow.Field<scenario: string>
    """
    return pa.schema([_field(contract, name) for name in contract.model_fields])


def _field(contract: type[BaseModel], name: str) -> pa.Field:
    kind, nullable = _kind(contract.model_fields[name].annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return pa.field(name, pa.struct([_field(kind, own) for own in kind.model_fields]), nullable)
    column = pa.string() if kind in (list, dict) else PLAIN.get(kind)
    if column is None:
        raise DefinitionError(
            f"{contract.__name__}.{name}: the lake has no column for {kind}: take text, a number, a truth value, a "
            "list, a map, or another model"
        )
    return pa.field(name, column, nullable)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """What a field holds, without what is said about it; and whether it may be None."""
    origin, given = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(given[0])
    if origin in (Union, UnionType):
        some = [kind for kind in given if kind is not NoneType]
        return (_kind(some[0])[0] if len(some) == 1 else annotation), len(some) < len(given)
    if origin is Literal:
        kinds = {type(value) for value in given}
        return (kinds.pop() if len(kinds) == 1 else annotation), False
    return origin or annotation, False


@lru_cache
def json_columns(contract: type[Event]) -> tuple[str, ...]:
    """The fields of `contract` that the lake keeps as JSON text."""
    fields = contract.model_fields.items()
    return tuple(name for name, field in fields if _kind(field.annotation)[0] in (list, dict))


def row_of(event: Event) -> dict[str, Any]:
    """The event's columns in the lake; lists and maps as JSON text."""
    row = event.model_dump()
    for name in json_columns(type(event)):
        row[name] = orjson.dumps(row[name]).decode()
    return row


POSITION_FIELDS = (pa.field("partition", pa.int32()), pa.field("offset", pa.int64()))
"""An event's place in Kafka; null for a row that was imported."""

SCHEMAS: dict[str, pa.Schema] = {name: schema_of(events.contract) for name, events in EVENT_TOPICS.items()}
"""Event columns by topic, without the position."""


def in_lake(schema: pa.Schema) -> pa.Schema:
    """`schema` as it is stored: the event's columns, then `partition` int32 and `offset` int64.

    >>> in_lake(SCHEMAS["transactions"]).names[-2:]
    ['partition', 'offset']
    """
    for field in POSITION_FIELDS:
        schema = schema.append(field)
    return schema


def without_position(table: pa.Table) -> pa.Table:
    """`table` with a null place in Kafka added, as imported rows are stored."""
    for field in POSITION_FIELDS:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table

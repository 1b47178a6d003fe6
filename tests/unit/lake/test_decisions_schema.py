from __future__ import annotations

import pyarrow as pa

from lamina.contracts.decisions import Decision
from lamina.lake.schemas import DECISIONS_SCHEMA, JSON_COLUMNS


def test_the_columns_are_those_of_the_contract() -> None:
    assert DECISIONS_SCHEMA.names == list(Decision.model_fields)
    for name, field in Decision.model_fields.items():
        may_be_none = type(None) in getattr(field.annotation, "__args__", ())
        assert DECISIONS_SCHEMA.field(name).nullable == may_be_none, name
        is_container = getattr(field.annotation, "__origin__", None) in (list, dict)
        assert (name in JSON_COLUMNS) == is_container, name
        assert not is_container or DECISIONS_SCHEMA.field(name).type == pa.string()

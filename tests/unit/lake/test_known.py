"""Joined rows as they were at a time."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lamina.lake.joined import ASSUMED, SAID, SCHEMA, WAITING
from lamina.lake.known import COLUMNS, as_of
from tests.joined_rows import joined_rows

WAITED = {"since": 10, "label_status": WAITING, "contradicted": False}
CUSTOMER = {"since": 20, "label": 1.0, "label_timestamp": 12, "label_source": "customer", "label_status": SAID}
ANALYST = {"since": 40, "label": 0.0, "label_timestamp": 15, "label_source": "analyst", "label_status": SAID}
CHANGED = ANALYST | {"contradicted": True, "earlier": [WAITED, CUSTOMER | {"contradicted": False}]}
LATE = {"since": 30, "label": 0.0, "label_status": ASSUMED}
OLD: dict[str, Any] = {"label_status": WAITING}


def known(ms: int, *rows: dict[str, Any]) -> list[tuple[str, Any, Any, Any, bool]]:
    table = joined_rows([row | {"request_id": f"r-{n}"} for n, row in enumerate(rows)])
    found = as_of(table, ms)
    assert found.schema == table.schema
    # Asked again, of what is found, for the same time or a later one, there is nothing else to say.
    assert as_of(found, ms).equals(found)
    names = ("request_id", "label", "label_timestamp", "label_status", "contradicted")
    return [tuple(row[name] for name in names) for row in found.to_pylist()]


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (9, []),
        (10, [("r-0", None, None, WAITING, False)]),
        (19, [("r-0", None, None, WAITING, False)]),
        (20, [("r-0", 1.0, 12, SAID, False)]),
        (39, [("r-0", 1.0, 12, SAID, False)]),
        (40, [("r-0", 0.0, 15, SAID, True)]),
        (99, [("r-0", 0.0, 15, SAID, True)]),
    ],
)
def test_a_row_says_what_the_newest_join_before_had_found(ms: int, expected: list[Any]) -> None:
    """Not what was known then: the analyst's word of 15 had arrived by the join of 40 alone."""
    assert known(ms, CHANGED) == expected


def test_every_row_has_a_history_of_its_own() -> None:
    assert [row[:2] for row in known(25, LATE, CHANGED, OLD, CHANGED)] == [("r-1", 1.0), ("r-2", None), ("r-3", 1.0)]
    assert [row[:2] for row in known(30, LATE, CHANGED, OLD)] == [("r-0", 0.0), ("r-1", 1.0), ("r-2", None)]
    assert [row[:2] for row in known(40, CHANGED, LATE, CHANGED)] == [("r-0", 0.0), ("r-1", 0.0), ("r-2", 0.0)]


def test_rows_of_the_version_before_were_so_always() -> None:
    assert known(0, OLD) == [("r-0", None, None, WAITING, False)]


def test_nothing_is_nothing() -> None:
    assert as_of(SCHEMA.empty_table(), 9).equals(SCHEMA.empty_table())


def test_columns_that_are_not_asked_for_are_not_needed() -> None:
    table = joined_rows([CHANGED]).select(["request_id", "label", *COLUMNS])
    assert as_of(table, 20).column("label").to_pylist() == [1.0]
    # A table that was read in parts.
    both = pa.concat_tables([table, table])
    assert as_of(both, 20).column("label").to_pylist() == [1.0, 1.0]

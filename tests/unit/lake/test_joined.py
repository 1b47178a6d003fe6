"""Joined rows: by day, by column and by what is asked of them; a day that is not there has none."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.clock import DAY_MS
from lamina.lake import layout
from lamina.lake.joined import ASSUMED, SAID, SCHEMA, WAITING, joined_dataset, joined_days, read_joined
from tests.joined_rows import AT_MS, put_joined

MONDAY, TUESDAY, WEDNESDAY = date(2018, 8, 13), date(2018, 8, 14), date(2018, 8, 15)
ROWS = (
    {"request_id": "a", "label": 1.0, "label_status": SAID, "label_source": "chargeback"},
    {"request_id": "b", "label": 0.0, "label_status": ASSUMED, "timestamp": AT_MS + DAY_MS - 1},
    {"request_id": "c", "label_status": WAITING, "timestamp": AT_MS + DAY_MS},
    {"request_id": "c", "label_status": WAITING, "timestamp": AT_MS + DAY_MS, "shadow": True, "arm": "trees"},
)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    put_joined(str(tmp_path), "shop", ROWS)
    return str(tmp_path)


def test_rows_lie_in_the_day_of_their_own_time(lake: str) -> None:
    assert joined_days(lake, "shop") == [MONDAY, TUESDAY]
    assert joined_days(lake, "shop", since=TUESDAY) == [TUESDAY]
    assert joined_days(lake, "shop", until=MONDAY) == [MONDAY]
    assert joined_days(lake, "fraud") == []
    assert sorted(read_joined(lake, "shop", days=[MONDAY]).column("request_id").to_pylist()) == ["a", "b"]


def test_all_columns_or_those_that_are_asked_for(lake: str) -> None:
    assert read_joined(lake, "shop").schema == SCHEMA
    found = read_joined(lake, "shop", ("label", "request_id"), where=ds.field("label_status") != WAITING)
    assert found.column_names == ["label", "request_id"]
    assert sorted(found.to_pylist(), key=lambda row: str(row["request_id"])) == [
        {"label": 1.0, "request_id": "a"},
        {"label": 0.0, "request_id": "b"},
    ]


def test_nothing_there_is_no_rows(lake: str) -> None:
    assert read_joined(lake, "shop", days=[WEDNESDAY]).num_rows == 0
    assert read_joined(lake, "fraud").schema == SCHEMA


def test_a_day_is_replaced_and_what_is_staged_is_not_read(lake: str) -> None:
    put_joined(lake, "shop", [{"request_id": "d"}])
    folder = Path(layout.joined(lake, "shop", MONDAY))
    pq.write_table(SCHEMA.empty_table(), folder / ".staging-half.parquet")
    (folder / "_report.json").write_text("{}")
    assert read_joined(lake, "shop", days=[MONDAY]).column("request_id").to_pylist() == ["d"]


def test_duckdb_reads_it_as_it_is(lake: str) -> None:
    rows = joined_dataset(lake, "shop")
    assert rows.schema == SCHEMA
    with duckdb.connect() as db:
        db.register("rows", rows)
        assert db.sql("select shadow, count(*) from rows group by all order by all").fetchall() == [
            (False, 3),
            (True, 1),
        ]

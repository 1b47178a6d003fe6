"""Answers in the lake: of the days that are asked for, without shadows, and never of what is not led over."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.contracts.served import Served
from lamina.errors import NotMigrated
from lamina.lake import layout
from lamina.lake.answers import are_archived, read_answers
from lamina.lake.schemas import in_lake, row_of, schema_of
from lamina.settings import ROOT

MONDAY, TUESDAY = date(2018, 8, 13), date(2018, 8, 14)
ANSWER = Served.from_json((ROOT / "tests/data/events/served-v1.json").read_bytes()).model_copy(
    update={"system": "shop"}
)


def put(lake: Path, day: date, *changes: dict[str, Any], folder: str = layout.ORIGIN) -> Path:
    rows = [row_of(ANSWER.model_copy(update=each)) | {"partition": 0, "offset": i} for i, each in enumerate(changes)]
    target = Path(layout.events(str(lake), "predictions-shop", day)) / folder
    target.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(schema_of(Served))), target / "part-0.parquet")
    return target / "part-0.parquet"


def ids(lake: Path, **wanted: Any) -> list[str]:
    return sorted(read_answers(str(lake), "shop", ["request_id"], **wanted).column("request_id").to_pylist())


def test_answers_of_the_days_and_kind_that_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path, MONDAY, {"request_id": "a"}, {"request_id": "a", "shadow": True}, {"request_id": "b"})
    put(tmp_path, MONDAY, {"request_id": "c", "action": None}, folder="origin=kafka-before")
    put(tmp_path, TUESDAY, {"request_id": "d", "shadow": True}, {"request_id": "e"})
    assert ids(tmp_path) == ["a", "b", "c", "e"]
    assert ids(tmp_path, days=[TUESDAY]) == ["e"]
    assert ids(tmp_path, where=ds.field("action").is_null()) == ["c"]
    assert ids(tmp_path, days=[date(2018, 8, 15)]) == []


def test_columns_are_those_that_are_asked_for_in_their_order(tmp_path: Path) -> None:
    put(tmp_path, MONDAY, {})
    (row,) = read_answers(str(tmp_path), "shop", ("offset", "outputs", "shadow")).to_pylist()
    assert list(row) == ["offset", "outputs", "shadow"]
    assert (row["offset"], orjson.loads(row["outputs"]), row["shadow"]) == (0, ANSWER.outputs, False)


def test_a_log_that_is_not_there_has_no_answers(tmp_path: Path) -> None:
    assert read_answers(str(tmp_path), "shop", ["action"]).num_rows == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_led_over_is_told_of_whatever_is_asked_for(tmp_path: Path) -> None:
    file = put(tmp_path, MONDAY, {"request_id": "a"})
    pq.write_table(pq.read_table(file).drop_columns(["shadow", "system"]), file)
    put(tmp_path, TUESDAY, {"request_id": "b"})
    with pytest.raises(NotMigrated, match=r"events/predictions-shop holds answers .* run `lamina migrate`"):
        ids(tmp_path)
    with pytest.raises(NotMigrated):
        ids(tmp_path, where=ds.field("system") == "shop")
    assert ids(tmp_path, days=[TUESDAY]) == ["b"]


def test_what_is_archived_is_known_without_reading_it(tmp_path: Path) -> None:
    def archived(since: date, until: date) -> bool:
        return are_archived(str(tmp_path), "shop", since=since, until=until)

    assert not archived(MONDAY, TUESDAY)
    file = put(tmp_path, MONDAY, {"shadow": True})
    assert archived(MONDAY, MONDAY)
    assert archived(MONDAY, TUESDAY)
    assert not archived(TUESDAY, TUESDAY)
    # A day without messages has an empty file.
    pq.write_table(in_lake(schema_of(Served)).empty_table(), file)
    assert not archived(MONDAY, TUESDAY)

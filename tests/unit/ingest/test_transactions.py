from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.errors import MappingError
from lamina.ingest import transactions
from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.transactions import ImportReport, import_transactions, read_events
from lamina.lake.schemas import SCHEMAS, in_lake
from tests.unit.ingest.test_mapping import MINIMAL

PAN = "4546913536785083"
MAPPING = TransactionMapping.model_validate(
    {
        **MINIMAL,
        "location": {"lat": "place.lat", "lon": "place.lon"},
        "label": {"column": "fraud", "scenario": {"column": "how", "names": {1: "stolen"}}},
    }
)
DAY_S = 86_400
FIRST = 1_522_540_800  # 2018-04-01


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"t{number}",
        "who": number % 3,
        "card": PAN,
        "cents": 1250 + number,
        "shop": "m1",
        "kind": None if number % 2 else "grocery",
        "at": FIRST + number * DAY_S // 4,
        "place.lat": 50.8 if number % 2 else None,
        "place.lon": 4.3 if number % 2 else None,
        "fraud": int(number == 3),
        "how": 1 if number == 3 else 0,
    } | changes


ROWS = [row(n) for n in range(12)]  # three days, four a day
ROWS += [
    row(20, cents="twelve"),
    row(21, at=7),
    row(22, fraud="perhaps"),
    row(23, **{"place.lat": None}),
    row(2),
    row(24, who=None),
    row(25, shop=f"paid with {PAN}\n"),
]
REJECTED = 7


def write(tmp_path: Path, ending: str, rows: list[dict[str, Any]] = ROWS) -> Path:
    path = tmp_path / f"mine.{ending}"
    if ending == "csv":
        with path.open("w", newline="") as target:
            writer = csv.DictWriter(target, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    elif ending == "jsonl":
        nested = []
        for flat in rows:
            place = {"lat": flat["place.lat"], "lon": flat["place.lon"]}
            kept = {name: value for name, value in flat.items() if not name.startswith("place.")}
            nested.append(kept | ({"place": place} if any(place.values()) else {}))
        path.write_bytes(b"\n".join(orjson.dumps(one) for one in nested))
    else:
        texts = [{name: None if value is None else str(value) for name, value in flat.items()} for flat in rows]
        pq.write_table(pa.Table.from_pylist(texts), path)
    return path


def stored(lake: Path, topic: str) -> pa.Table:
    return ds.dataset(str(lake / "events" / topic), format="parquet").to_table()


def run(path: Path, lake: Path, **options: Any) -> ImportReport:
    report = import_transactions(path, MAPPING, str(lake), salt="pepper", **options)
    assert report.balanced
    return report


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_row_is_accounted_for(tmp_path: Path, ending: str) -> None:
    report = run(write(tmp_path, ending), tmp_path / "lake")
    assert (report.read, report.accepted, report.rejected, report.days) == (len(ROWS), 12, REJECTED, 3)
    assert {reason.split(":")[0] for reason in report.reasons} == {
        "amount", "timestamp", "is_fraud", "location.lat", "transaction_id", "user_id", "merchant_id",
    }  # fmt: skip
    kept = stored(tmp_path / "lake", "transactions")
    assert kept.schema.equals(in_lake(SCHEMAS[TRANSACTIONS]))
    first = kept.sort_by("timestamp").slice(0, 2).to_pylist()
    assert first[0]["user_id"] == "customer-0"
    assert first[0]["amount"] == 12.5
    assert first[0]["location"] is None
    assert first[0]["merchant_category"] == "grocery"
    assert first[1]["location"] == {"lat": 50.8, "lon": 4.3}
    assert first[1]["merchant_category"] == "unknown"
    assert first[1]["offset"] is None


def test_a_row_lies_on_the_day_it_happened_and_a_label_on_the_day_it_was_known(tmp_path: Path) -> None:
    run(write(tmp_path, "parquet"), tmp_path)
    folders = sorted(folder.name for folder in (tmp_path / "events" / "transactions").iterdir())
    assert folders == ["ingested=2018-04-01", "ingested=2018-04-02", "ingested=2018-04-03"]
    assert [folder.name for folder in (tmp_path / "events" / "fraud-labels").iterdir()] == ["ingested=2018-04-08"]
    labels = stored(tmp_path, "fraud-labels")
    assert labels.schema.equals(in_lake(SCHEMAS[FRAUD_LABELS]))
    label = labels.to_pylist()[0]
    assert (label["transaction_id"], label["scenario"], label["is_fraud"]) == ("t3", "stolen", True)
    assert label["timestamp"] - label["transaction_timestamp"] == (7 * DAY_S - 1) * 1000


def test_card_numbers_are_stored_nowhere(tmp_path: Path) -> None:
    run(write(tmp_path, "csv"), tmp_path / "lake")
    tokens = set(stored(tmp_path / "lake", "transactions")["card_token"].to_pylist())
    assert len(tokens) == 1
    assert all(token.startswith("card-") and PAN not in token for token in tokens)
    rejects = next((tmp_path / "lake" / "rejects" / "transactions").glob("*.jsonl")).read_text()
    lines = [json.loads(line) for line in rejects.splitlines()]
    assert PAN not in rejects
    assert [line["row"] for line in lines] == list(range(13, 20))
    assert lines[-1]["original"]["shop"] == f"paid with ************{PAN[-4:]}\n"
    assert lines[0]["original"]["card"] == "***"


def test_another_salt_gives_another_token_and_none_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet")
    one, other = (next(read_events(path, MAPPING, salt)).transactions["card_token"][0].as_py() for salt in ("a", "b"))
    assert one != other
    with pytest.raises(MappingError, match="--salt"):
        next(read_events(path, MAPPING))


def test_a_rerun_replaces_and_another_file_adds(tmp_path: Path) -> None:
    path, lake = write(tmp_path, "parquet"), tmp_path / "lake"
    for _ in range(2):
        run(path, lake)
    assert stored(lake, "transactions").num_rows == 12
    other = tmp_path / "other"
    other.mkdir()
    run(write(other, "parquet", [row(n) for n in range(100, 104)]), lake)
    assert stored(lake, "transactions").num_rows == 16
    assert list(lake.glob("**/.staging*")) == []


def test_parts_by_date_add_up_to_the_whole(tmp_path: Path) -> None:
    path, lake = write(tmp_path, "parquet"), tmp_path / "lake"
    before = run(path, lake, until=date(2018, 4, 3))
    assert (before.accepted, before.outside, before.labels, before.labels_outside) == (8, 4, 0, 1)
    after = run(path, lake, since=date(2018, 4, 3))
    assert (after.accepted, after.outside, after.labels) == (4, 8, 1)
    assert stored(lake, "transactions").num_rows == 12


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    report = run(write(tmp_path, "parquet"), tmp_path / "lake", dry_run=True)
    assert (report.accepted, report.rejected, report.days) == (12, REJECTED, 0)
    assert not (tmp_path / "lake").exists()


def test_memory_is_bounded_by_writing_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "BUFFERED_ROWS", 3)
    run(write(tmp_path, "parquet"), tmp_path / "lake")
    assert stored(tmp_path / "lake", "transactions").num_rows == 12


def test_lines_that_are_no_rows_are_rejected_with_their_number(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", [row(n) for n in range(4)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "too,few", *lines[3:]]) + "\n")
    report = run(path, tmp_path / "lake")
    assert (report.read, report.accepted, report.rejected) == (5, 4, 1)
    rejects = next((tmp_path / "lake" / "rejects" / "transactions").glob("*.jsonl")).read_text()
    assert json.loads(rejects)["row"] == 3

    path = write(tmp_path, "jsonl", [row(n) for n in range(4)])
    path.write_bytes(path.read_bytes() + b"\n{\n[1]\n\n")
    report = run(path, tmp_path / "lake2")
    assert (report.read, report.accepted, report.rejected) == (6, 4, 2)


@pytest.mark.parametrize("name", ["missing.csv", "notes.docx", "fake.parquet"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if not name.startswith("missing"):
        path.write_text("hello")
    with pytest.raises(MappingError):
        run(path, tmp_path / "lake")

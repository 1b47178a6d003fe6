"""Whole imports of files as people have them: the right values, and counts that an independent count confirms."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.errors import MappingError
from lamina.ingest import bytes_of, transactions
from lamina.ingest.mapping import TransactionMapping, load_mapping
from lamina.ingest.reader import read_batches
from lamina.ingest.transactions import Events, ImportReport, import_transactions
from tests.unit.ingest.test_transactions import stored

CONSTANT = {
    name: {"constant": value}
    for name, value in {
        "currency": "EUR", "merchant_category": "food", "country": "BE", "user_country": "BE",
        "transaction_type": "in_store", "device_type": "terminal",
    }.items()
}  # fmt: skip
MAPPING: dict[str, Any] = {
    "name": "mine", "transaction_id": "id", "user_id": "user", "card_token": "card", "amount": {"column": "amt"},
    "merchant_id": "shop", "timestamp": {"column": "at"}, "label": {"column": "fraud"}, **CONSTANT,
}  # fmt: skip
GOOD = {"id": "t1", "user": "u1", "card": "card-1", "amt": 1.5, "shop": "s1", "at": "2018-08-08T10:00:00Z", "fraud": 0}


def mapping(**changes: Any) -> TransactionMapping:
    return TransactionMapping.model_validate({**MAPPING, **changes})


def run(path: Path, **changes: Any) -> ImportReport:
    report = import_transactions(path, mapping(**changes), str(path.parent / "lake"))
    assert report.balanced
    return report


def rejects(path: Path) -> list[dict[str, Any]]:
    found = list((path.parent / "lake" / "rejects").glob("*/*.jsonl"))
    return [json.loads(line) for file in found for line in file.read_text().splitlines()]


def put(tmp_path: Path, name: str, content: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    return path


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


HEADER = "id;user;card;amt;shop;at;fraud\n"


@pytest.mark.parametrize(
    ("file", "amount", "expected"),
    [
        ({"decimal": ","}, "12,5", 12.5),
        ({"separator": ";", "decimal": ",", "thousands": "."}, "1.234.567,89", 1234567.89),
        ({"decimal": ",", "thousands": " "}, "1\u00a0234,5", 1234.5),
        ({"decimal": ",", "thousands": "."}, "1234,5", 1234.5),
        ({"thousands": ","}, "-1,234.5", -1234.5),
        ({"thousands": "'"}, "1'234", 1234.0),
        ({}, "12.5", 12.5),
        ({}, " +.5e1 ", 5.0),
    ],
)
def test_numbers_have_the_signs_of_the_mapping(
    tmp_path: Path, file: dict[str, str], amount: str, expected: float
) -> None:
    path = put(tmp_path, "a.csv", f"{HEADER}t1;u1;card-1;{amount};s1;2018-08-08T10:00:00Z;0\n")
    assert run(path, file=file).accepted == 1
    assert stored(tmp_path / "lake", "transactions")["amount"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("file", "amount", "reason"),
    [
        ({}, "12,5", "say decimal and thousands"),
        ({}, "1,234", "say decimal and thousands"),
        ({"decimal": ","}, "12.5", "say decimal and thousands"),
        ({"decimal": ",", "thousands": "."}, "12.5", "say decimal and thousands"),
        ({"thousands": ","}, "1,23,456", "say decimal and thousands"),
        ({}, "twelve", "is not a number"),
        ({}, "NaN", "is missing"),
        ({}, "\\N", "is missing"),
        ({}, "inf", "is not a number"),
        ({}, "$5", "is not a number"),
        ({}, "", "is missing"),
        ({}, "  ", "is missing"),
    ],
)
def test_what_is_no_number_says_why(tmp_path: Path, file: dict[str, str], amount: str, reason: str) -> None:
    path = put(tmp_path, "a.csv", f"{HEADER}t1;u1;card-1;{amount};s1;2018-08-08T10:00:00Z;0\n")
    assert run(path, file=file).rejected == 1
    assert rejects(path)[0]["reason"].startswith("amount: ")
    assert reason in rejects(path)[0]["reason"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_what_is_missing_is_said_to_be_missing(tmp_path: Path, kind: str) -> None:
    names = ["id", "user", "card", "amt", "shop", "at"]
    rows = [{**GOOD, "id": f"t{number}", "amt": "1", name: None} for number, name in enumerate(names)]
    rows.append({**GOOD, "amt": "1", "fraud": None})
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        path.write_text(as_csv(rows))
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    report = run(path)
    assert report.accepted == 1
    assert [row["reason"] for row in rejects(path)] == [
        f"{field}: is missing"
        for field in ("transaction_id", "user_id", "card_token", "amount", "merchant_id", "timestamp")
    ]


def test_what_nobody_reads_costs_nothing(tmp_path: Path) -> None:
    rows = [json.dumps({**GOOD, "id": f"t{n}"}) for n in range(3)]
    rows[1] = rows[1].replace("}", ', "score": NaN, "more": [1, {"x": Infinity}]}')
    assert run(put(tmp_path, "a.jsonl", "\n".join(rows))).accepted == 3
    assert run(put(tmp_path, "a.json", f"\ufeff[{','.join(rows)}]")).accepted == 3
    odd = {"odd": [b"\xff", [1], {"a": 1}][:1] * 2, "lists": [[1, 2], None], "nested": [{"a": {"b": 1}}, None]}
    pq.write_table(
        pa.table({**{name: [value] * 2 for name, value in GOOD.items()}, **odd, "id": ["a", "b"]}),
        tmp_path / "a.parquet",
    )
    assert run(tmp_path / "a.parquet").accepted == 2


def test_an_amount_that_is_nan_is_missing(tmp_path: Path) -> None:
    row = json.dumps(GOOD).replace("1.5", "NaN")
    path = put(tmp_path, "a.jsonl", row)
    assert run(path).rejected == 1
    assert rejects(path)[0]["reason"] == "amount: is missing"


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("amt", [1.0], "amount"),
        ("user", [["u1"]], "user_id"),
        ("at", [["x"]], "timestamp"),
        ("fraud", [[1]], "is_fraud"),
    ],
)
def test_a_column_of_a_type_that_fits_nothing_is_named_without_its_values(
    tmp_path: Path, column: str, value: list[Any], field: str
) -> None:
    values = {name: [one] for name, one in GOOD.items()} | {column: value if column != "amt" else [{"a": [1]}]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(values), path)
    try:
        report = run(path) if column != "amt" else run(path, amount={"column": "amt.a"})
    except MappingError as error:
        assert "a.parquet, lines 1 to 1" in str(error)
        assert repr(column) in str(error)
    else:
        assert [row["reason"].split(":")[0] for row in rejects(path)] == [field] or column == "fraud"
        assert report.rejected == 1


def test_dates_beyond_pythons_are_rejected_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    times = pa.array([0, 10**15, -(10**15), 2**62], pa.int64()).cast(pa.timestamp("ms"))
    values = {name: [one] * 4 for name, one in GOOD.items()} | {"id": list("abcd"), "at": times}
    pq.write_table(pa.table(values), path)
    assert run(path).rejected == 4
    assert all("2000 and 2100" in row["reason"] for row in rejects(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ID,User,card,amt,shop,at,fraud\n", r"does not have: id, user.*mean 'ID' for 'id', 'User' for 'user'\?"),
        ("id:user:card:amt:shop:at:fraud\n", "does not have"),
        ("id,user,card,amt,shop,at,fraud,id\n", "columns of one name: id"),
        ("id;user;card;amt;shop;at\n", "one column: say separator: ';'"),
    ],
)
def test_a_header_that_does_not_fit_says_what_may_be_meant(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        run(put(tmp_path, "a.csv", content))


def test_rows_of_parquet_are_numbered_through_all_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [f"t{n}" for n in range(7)]}), path)
    batches = list(read_batches(path, batch_rows=3))
    assert [number for batch in batches for number in batch.numbers.tolist()] == [1, 2, 3, 4, 5, 6, 7]
    assert [batch.rows for batch in batches] == [3, 3, 1]


def test_a_parquet_file_that_breaks_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({name: [one] * 5000 for name, one in GOOD.items()} | {"id": [f"t{n}" for n in range(5000)]})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MappingError, match=r"a\.parquet is not parquet, or not all of it"):
        run(path)
    path.write_bytes(whole[:4] + bytes(3000) + whole[3004:])
    with pytest.raises(MappingError, match=r"a\.parquet, after row 0"):
        run(path)
    assert not list((tmp_path / "lake").rglob("*.parquet"))


@pytest.mark.parametrize("size", [500, 1 << 20])
def test_counts_are_those_of_an_independent_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    rng = random.Random(4)
    rows = [
        {
            **GOOD,
            "id": f"t{rng.randrange(800)}",
            "amt": rng.choice(["1", "2.5", "x", ""]),
            "shop": rng.choice(["s1", "two\nlines", 'a "b", c', ""]),
            "at": rng.choice(["2018-08-08T10:00:00Z", "2018-02-30", "2018-08-09"]),
        }
        for _ in range(1000)
    ]
    path = put(tmp_path, "a.csv", as_csv(rows) + "too,few\n" + "one,too,many,of,all,the,columns,here\n")
    report = run(path)
    with path.open(newline="") as file:
        assert report.read == len(list(csv.reader(file))) - 1 == 1002
    duplicates = sum("repeated" in row["reason"] for row in rejects(path))
    assert report.duplicates == duplicates > 10
    accepted = stored(tmp_path / "lake", "transactions")
    assert accepted.num_rows == report.accepted
    assert len(set(accepted["transaction_id"].to_pylist())) == accepted.num_rows
    assert report.accepted + len(rejects(path)) == report.read
    assert sorted(row["row"] for row in rejects(path)) == sorted({row["row"] for row in rejects(path)})
    lines = path.read_text().split("\n")
    for row in rejects(path):
        if isinstance(row["original"], dict):
            # CSV's nothing is null; the rest is the file's own text.
            assert {name: value or "" for name, value in row["original"].items()} == rows[row["row"] - 1] | {
                "amt": rows[row["row"] - 1]["amt"], "fraud": "0",
            }  # fmt: skip
            assert lines[row["line"] - 1].startswith(rows[row["row"] - 1]["id"] + ",")
        else:
            assert lines[row["line"] - 1] == row["original"]


def test_an_import_whose_counts_do_not_add_up_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "id": f"t{n}"} for n in range(5)]))
    whole = transactions.read_events

    def losing(*args: Any) -> Iterator[Events]:
        for events in whole(*args):
            yield replace(events, transactions=events.transactions.slice(1))

    monkeypatch.setattr(transactions, "read_events", losing)
    with pytest.raises(MappingError, match="5 rows were read and 4 accounted for; nothing was written"):
        run(path)
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_a_report_that_does_not_add_up_says_so() -> None:
    assert not ImportReport(read=3, accepted=1, rejected=1).balanced
    assert ImportReport(read=3, accepted=1, rejected=1, outside=1).balanced


def test_rejects_can_be_corrected_and_imported(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": f"t{n}", "amt": "x" if n in (3, 5) else "1"} for n in range(8)]
    path = put(tmp_path, "a.csv", as_csv(rows))
    assert run(path).rejected == 2
    kept = next((tmp_path / "lake" / "rejects").glob("*/*.jsonl"))
    corrected = put(tmp_path, "corrected.jsonl", kept.read_text().replace('"amt":"x"', '"amt":"7"'))
    report = run(corrected)
    assert (report.read, report.accepted) == (2, 2)
    found = stored(tmp_path / "lake", "transactions").sort_by("transaction_id")
    assert found["amount"].to_pylist() == [1, 1, 1, 7, 1, 7, 1, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("country: {constant: NO}", r"country\.constant: YAML reads NO as false: quote it, 'NO'"),
        ("country: NO", r"country: YAML reads NO as false: quote it, 'NO'"),
        ("merchant_category: {constant: 5411}", r"merchant_category\.constant: YAML reads 5411 as a number: quote it"),
        ("merchant_category: {constant: 0742}", r"YAML reads 0742 as a number: quote it, '0742'"),
        ("user_id: 2018-08-08", r"user_id: YAML reads 2018-08-08 as a date: quote it"),
        ("label: {column: fraud, values: {NO: false, YES: true}}", "label.values: YAML reads a key as false"),
        ("salt: 4711", r"salt: YAML reads it as a number: quote it$"),
        ("file: {separator: ';;'}", "file.separator: .*one ASCII character"),
        ("file: {encoding: klingon}", "file.encoding: .*no text encoding 'klingon'"),
        ("file: {decimal: ',', thousands: ','}", "file: .*same sign"),
        ("label: {column: fraud, scenario: {column: how, names: {0742: a}}}", "quote it"),
    ],
)
def test_a_mapping_that_yaml_reads_otherwise_says_to_quote(tmp_path: Path, line: str, message: str) -> None:
    name = line.split(":")[0]
    kept = {key: value for key, value in MAPPING.items() if key != name}
    content = "\n".join([line, *(f"{key}: {json.dumps(value)}" for key, value in kept.items())])
    with pytest.raises(MappingError, match=message):
        load_mapping(str(put(tmp_path, "mine.yaml", content)))

"""Values that few files have: types of other programs, keys in two spellings, secrets in what was refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from lamina.ingest.mapping import load_mapping
from lamina.ingest.transactions import import_transactions
from tests.unit.ingest.test_files import GOOD, MAPPING, as_csv, mapping, put, rejects, run
from tests.unit.ingest.test_transactions import stored


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.binary_view(), pa.large_string(), pa.binary(), pa.large_binary()]
)
def test_texts_of_every_type_of_parquet_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    rows = [{**GOOD, "amt": "1.5", "fraud": "1"}, {**GOOD, "id": "t2", "amt": "2", "user": None, "fraud": "0"}]
    table = pa.Table.from_pylist(rows)
    pq.write_table(
        pa.table({name: table[name].combine_chunks().cast(kind) for name in table.column_names}), tmp_path / "a.parquet"
    )
    report = run(tmp_path / "a.parquet")
    assert (report.accepted, report.labels, dict(report.reasons)) == (1, 1, {"user_id: is missing": 1})
    assert stored(tmp_path / "lake", "transactions")["amount"].to_pylist() == [1.5]


def test_bytes_that_are_no_text_cost_their_row(tmp_path: Path) -> None:
    table = pa.table(
        {**{name: [value] * 2 for name, value in GOOD.items()}, "id": ["t1", "t2"], "user": [b"u1", b"\xff"]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert dict(run(tmp_path / "a.parquet").reasons) == {"user_id: is not UTF-8": 1}


def test_a_card_number_that_was_refused_stands_in_no_reject(tmp_path: Path) -> None:
    number = "4111111111111111"
    cards = [
        "|".join(number[n : n + 4] for n in range(0, 16, 4)),
        "\u200b".join(number),
        number.translate({48 + n: 0xFF10 + n for n in range(10)}),
    ]
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "id": f"t{n}", "card": card} for n, card in enumerate(cards)]))
    assert run(path).rejected == len(cards)
    kept = [row["original"]["card"] for row in rejects(path)]
    assert [text[:-4] for text in kept] == ["*" * (len(card) - 4) for card in cards]


@pytest.mark.parametrize("key", ["1.0", '"1.0"', '" 1"'])
def test_keys_are_read_as_values_are(tmp_path: Path, key: str) -> None:
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "fraud": 1}]))
    lines = [f"{name}: {json.dumps(value)}" for name, value in MAPPING.items() if name != "label"]
    lines.append(f"label: {{column: fraud, values: {{{key}: true, 0: false}}}}")
    report = import_transactions(
        path, load_mapping(str(put(tmp_path, "mine.yaml", "\n".join(lines)))), str(tmp_path / "lake")
    )
    assert (report.accepted, report.labels) == (1, 1)


@pytest.mark.parametrize("field", ["label", "transaction_type"])
def test_a_key_written_in_two_ways_is_given_twice(field: str) -> None:
    values: dict[Any, Any] = {1: True, "1": False} if field == "label" else {1: "online", "1": "atm"}
    with pytest.raises(ValidationError, match="'1' twice"):
        mapping(**{field: {"column": "fraud", "values": values}})


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_hashed_value_stands_in_no_reject_not_even_in_one_of_a_line_that_is_no_row(tmp_path: Path, name: str) -> None:
    mail = "ann@example.com"
    rows = [{**GOOD, "id": f"t{n}", "user": mail, "amt": "x" if n else "1"} for n in range(2)]
    lines = as_csv(rows).splitlines() if name == "a.csv" else [json.dumps(row) for row in rows]
    lines += [f"{lines[-1]},7", lines[-1].replace(mail, f'"{mail}')]
    path = put(tmp_path, name, "\n".join([*lines, ""]))
    hashed = {"column": "user", "sha256": True, "prefix": "user-"}
    report = run(path, user_id=hashed, salt="not-secret")
    assert (report.accepted, report.rejected) == (1, 3)
    [file] = (tmp_path / "lake" / "rejects").glob("*/*.jsonl")
    assert "example" not in file.read_text()
    assert [row["original"] for row in rejects(path)[1:]] == ["***", "***"]


def test_a_hashed_part_of_an_object_is_hidden_when_it_is_all_of_it(tmp_path: Path) -> None:
    rows = [{**GOOD, "user": {"mail": "bob@example.com"}}, {**GOOD, "id": "t2", "user": "ann@example.com"}]
    path = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert run(path, user_id={"column": "user.mail", "sha256": True}, salt="not-secret").rejected == 1
    assert "example" not in str(rejects(path))


def test_a_truth_value_among_fractions_is_no_number(tmp_path: Path) -> None:
    rows = [GOOD, {**GOOD, "id": "t2", "amt": True, "fraud": 0.5}, {**GOOD, "id": "t3", "fraud": True}]
    path = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    report = run(path)
    assert dict(report.reasons) == {"amount: is not a number": 1}
    assert (report.accepted, report.labels) == (2, 1)

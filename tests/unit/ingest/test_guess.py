"""A first mapping from a file alone, and what the command shows and writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.errors import MappingError
from lamina.ingest.guess import guess_mapping
from lamina.ingest.mapping import TransactionMapping, load_mapping
from lamina.ingest.preview import preview
from lamina.ingest.transactions import read_events
from tests.unit.ingest.test_files import GOOD, as_csv, put
from tests.unit.ingest.test_shipped import PERSON, SPARKOV
from tests.unit.ingest.test_times import ms

PAN = "4546913536785083"
OTHER = "4000001234567899"


def guessed(path: Path) -> TransactionMapping:
    target = path.parent / "guess.yaml"
    target.write_text(guess_mapping(path))
    return load_mapping(str(target))


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of the file by the guessed mapping; none of them is refused."""
    events = list(read_events(path, guessed(path), "pepper"))
    assert not [row for batch in events for row in batch.rejected]
    return [row for batch in events for row in batch.transactions.to_pylist()]


def test_a_bank_statement_of_belgium(tmp_path: Path) -> None:
    content = (
        "Reference;Customer ID;Card number;Amount;Currency;Merchant;MCC;Country;Channel;Date;Time;Fraud\n"
        f"R1;C7;{PAN};1.234,50;EUR;Café;5812;BE;POS;31/12/2020;21:25:58;Legit\n"
        f"R2;C8;{OTHER};12,5;EUR;Shop;5411;BE;E-commerce;01/06/2020;08:00:00;Fraud\n"
    )
    path = put(tmp_path, "Bank Export 2020.csv", content, "cp1252")
    mapping = guessed(path)
    assert mapping.name == "bank-export-2020"
    assert (mapping.file.separator, mapping.file.decimal, mapping.file.thousands) == (";", ",", ".")
    assert mapping.file.encoding == "cp1252"
    assert mapping.card_token.sha256
    first, second = rows(path)
    assert PAN not in str(first)
    assert (first["transaction_id"], first["user_id"], first["amount"]) == ("R1", "C7", 1234.5)
    assert (first["merchant_id"], first["merchant_category"], first["country"]) == ("Café", "5812", "BE")
    assert [row["transaction_type"] for row in (first, second)] == ["in_store", "online"]
    assert [row["timestamp"] for row in (first, second)] == [ms("2020-12-31T21:25:58Z"), ms("2020-06-01T08:00:00Z")]
    assert mapping.label is not None
    assert mapping.label.values == {"fraud": True, "legit": False}
    text = guess_mapping(path)
    assert "user_country: {constant: ZZ}  # ?" in text
    assert not any(secret in text for secret in (PAN, OTHER, "R1", "Café"))


AT = datetime(2020, 2, 1, 13, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y/%m/%d %H:%M:%S",
        "%Y%m%d%H%M%S", "%d-%b-%Y %H:%M:%S", "epoch",
    ],
)  # fmt: skip
def test_times_are_read_as_they_are_written(tmp_path: Path, written: str) -> None:
    moments = [AT + timedelta(days=17 * number) for number in range(4)]
    texts = [str(int(at.timestamp())) if written == "epoch" else at.strftime(written) for at in moments]
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "id": f"t{n}", "at": text} for n, text in enumerate(texts)]))
    assert [row["timestamp"] for row in rows(path)] == [int(at.timestamp()) * 1000 for at in moments]


def test_a_day_that_may_be_a_month_is_marked(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "at": "02/01/2020 10:00:00"}]))
    assert "# ? the day first, or the month?" in guess_mapping(path)
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "at": "02/21/2020 10:00:00"}]))
    assert '"%m/%d/%Y %H:%M:%S"}\n' in guess_mapping(path)


def test_a_file_with_the_columns_of_a_shipped_mapping_gets_that(tmp_path: Path) -> None:
    row = f"{PERSON}|1|p|abc|2013-09-20|22:08:45|1379714925|misc_net|50.80|1|fraud_Shop|40.75|-77.23"
    path = put(tmp_path, "a.csv", f"{SPARKOV}\n{row}\n")
    assert guessed(path) == load_mapping("sparkov")


def test_files_without_ids_and_of_other_kinds(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "a.json",
        '[{"amt": 1.5, "when": {"timestamp": 1533686400}}, {"amt": 2, "when": {"timestamp": 1533686401}}]',
    )
    found = rows(path)
    assert [row["transaction_id"] for row in found] == ["row-1", "row-2"]
    assert [row["timestamp"] for row in found] == [1_533_686_400_000, 1_533_686_401_000]
    table = pa.table({**{name: [value] * 2 for name, value in GOOD.items()}, "id": ["a", "b"], "at": [AT, AT]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row["user_id"] for row in rows(tmp_path / "a.parquet")] == ["u1", "u1"]
    unnamed = put(tmp_path, "export.txt", "1\t12.50\n2\t13.50\n")
    with pytest.raises(MappingError, match=r"no column looks like an amount.*column_1, column_2"):
        guess_mapping(unnamed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "no row"),
        ("id,at\n1,2020-01-01\n", "an amount"),
        ("id,amt\n1,2\n", "a date and time"),
    ],
)
def test_a_file_that_nothing_can_be_guessed_from_says_so(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        guess_mapping(put(tmp_path, "a.csv", content))


def test_a_preview_shows_rows_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "id": f"t{n}", "amt": "x" if n == 1 else "1"} for n in range(9)]))
    shown = preview(path, guessed(path))
    assert [row.number for row in shown] == [1, 2, 3, 4, 5]
    assert [row.problem is None for row in shown] == [True, False, True, True, True]
    assert shown[1].problem == "amount: is not a number"
    assert shown[0].fields["timestamp"] == ms("2018-08-08T10:00:00Z")


def test_the_command_writes_a_first_mapping_and_never_over_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = put(tmp_path, "mine.csv", as_csv([{**GOOD, "id": f"t{n}", "card": PAN} for n in range(9)]))
    done = CliRunner().invoke(app, ["import", "transactions", str(path), "--guess"])
    assert done.exit_code == 0, done.output
    assert "row 5" in done.output
    assert "row 6" not in done.output
    assert PAN not in done.output
    written = tmp_path / "mine.yaml"
    assert load_mapping(str(written)).user_id.column == "user"
    written.write_text("name: corrected by hand\n")
    again = CliRunner().invoke(app, ["import", "transactions", str(path), "--guess"])
    assert isinstance(again.exception, MappingError)
    assert "is not written over" in str(again.exception)
    assert written.read_text() == "name: corrected by hand\n"
    done = CliRunner().invoke(app, ["import", "transactions", str(path), "--guess", "--mapping", "other.yaml"])
    assert done.exit_code == 0
    assert (tmp_path / "other.yaml").exists()
    assert not (tmp_path / "lake").exists()


def test_without_a_mapping_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["import", "transactions", str(put(tmp_path, "a.csv", "a\n"))])
    assert done.exit_code == 2
    assert "--guess" in done.output


def test_times_as_numbers_are_found_by_name_or_by_what_they_are(tmp_path: Path) -> None:
    for name, mark in (("ts", ""), ("happened", "  # ?")):
        path = put(tmp_path, f"{name}.jsonl", f'{{"id": "t1", "user": "u", "amount": 1.5, "{name}": 1622541600000}}\n')
        assert f"timestamp: {{column: {name}}}{mark}\n" in guess_mapping(path)
        assert rows(path)[0]["timestamp"] == ms("2021-06-01T10:00:00Z")


@pytest.mark.parametrize(
    ("start", "words"),
    [(b"\x1f\x8b\x08", "let its name end in .gz"), (b"PK\x03\x04", "spreadsheet"), (b"PAR1\x15", "is parquet")],
)
def test_a_file_of_another_kind_is_told_what_it_is(tmp_path: Path, start: bytes, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(start + bytes(40))
    with pytest.raises(MappingError, match=rf"a\.csv .*{words}"):
        guess_mapping(path)


@pytest.mark.parametrize("lake", ["", "/", "file:///", "s3://"])
def test_a_lake_on_the_command_line_is_held_to_what_the_settings_are(tmp_path: Path, lake: str) -> None:
    """`/` and an empty variable in the place of a folder wrote to the root of the disk, or to another lake."""
    path = put(tmp_path, "a.csv", as_csv([GOOD]))
    (tmp_path / "a.yaml").write_text(guess_mapping(path))
    arguments = ["import", "transactions", str(path), "--mapping", str(tmp_path / "a.yaml"), "--dry-run"]
    done = CliRunner().invoke(app, [*arguments, "--lake", lake])
    assert done.exit_code == 1 and "LAMINA_LAKE_URL" in str(done.exception)
    refused = CliRunner().invoke(app, [*arguments, "--lake", str(tmp_path / "lake"), "--source", ""])
    assert refused.exit_code == 1 and "is no name" in str(refused.exception)

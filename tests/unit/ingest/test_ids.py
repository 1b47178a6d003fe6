"""Ids and card numbers of imported files: the same people whatever the file's kind, and no card number anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.errors import MappingError
from lamina.ingest.mapping import TransactionMapping, load_mapping
from lamina.ingest.transactions import ImportReport, import_transactions

PLAIN: dict[str, Any] = {
    "name": "mine",
    "transaction_id": "id",
    "user_id": "user",
    "card_token": "card",
    "amount": {"column": "amt"},
    "currency": {"constant": "EUR"},
    "merchant_id": "shop",
    "merchant_category": {"constant": "food"},
    "country": {"constant": "BE"},
    "user_country": {"constant": "BE"},
    "transaction_type": {"constant": "in_store"},
    "device_type": {"constant": "terminal"},
    "timestamp": {"column": "at"},
    "label": {"column": "fraud"},
}
AT = "2018-08-08T10:00:00Z"
CARDS = ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117"]


def rows_of(field: str, values: list[Any]) -> list[dict[str, Any]]:
    usual = {"user": "u1", "card": "card-1", "amt": 1.5, "shop": "s1", "at": AT, "fraud": 0}
    return [{"id": f"t{n}"} | usual | {field: value} for n, value in enumerate(values)]


def imported(path: Path, **changes: Any) -> tuple[ImportReport, list[dict[str, Any]], str]:
    """The report, the rows in the lake by transaction id, and the rejects file's text."""
    lake = path.parent / "lake"
    mapping = TransactionMapping.model_validate(PLAIN | changes)
    report = import_transactions(path, mapping, str(lake), salt="pepper")
    stored = lake / "events" / "transactions"
    rows = ds.dataset(str(stored)).to_table().sort_by("transaction_id").to_pylist() if stored.exists() else []
    return report, rows, Path(report.rejects_path).read_text() if report.rejects_path else ""


def csv_of(folder: Path, field: str, values: list[str]) -> Path:
    rows = rows_of(field, values)
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    path = folder / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def jsonl_of(folder: Path, field: str, values: list[str]) -> Path:
    """Args: values: in JSON, so that numbers stand as a file has them."""
    rows = rows_of(field, ["@"] * len(values))
    lines = [json.dumps(row).replace('"@"', value) for row, value in zip(rows, values, strict=True)]
    path = folder / "a.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def parquet_of(folder: Path, field: str, values: pa.Array) -> Path:
    table = pa.Table.from_pylist(rows_of(field, [""] * len(values)))
    place = table.column_names.index(field)
    path = folder / "a.parquet"
    pq.write_table(table.set_column(place, field, values), path)
    return path


@pytest.mark.parametrize("field", ["user", "shop", "id"])
def test_a_decimal_and_blanks_make_nobody_another(tmp_path: Path, field: str) -> None:
    name = {"user": "user_id", "shop": "merchant_id", "id": "transaction_id"}[field]
    for write, values in (
        (csv_of, ["596.0", "596", " 596 "]),
        (jsonl_of, ["596.0", "596", '"596 "']),
        (jsonl_of, ["596.0", "596", "1.5"]),
        (parquet_of, pa.array([596.0, 596.0, None])),
        (parquet_of, pa.array([596, 596, None])),
        (parquet_of, pa.array(["596.0", "596", "NULL"])),
    ):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        report, rows, _ = imported(write(folder, field, values))
        assert {row[name] for row in rows} <= {"596", "1.5"}
        assert "596" in {row[name] for row in rows}
        assert report.read == 3


def test_words_for_nothing_are_nobody(tmp_path: Path) -> None:
    words = ["NULL", "nan", "NaN", "N/A", "None", "\\N", "null", "", " ", "-", "#N/A", '""']
    report, rows, _ = imported(csv_of(tmp_path, "user", words))
    assert rows == []
    assert report.reasons == {"user_id: is missing": len(words)}


def test_words_for_nothing_take_the_default_and_empty_a_template(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "shop", ["NULL", "s7"])
    category = {"column": "shop", "default": "unknown"}
    report, rows, _ = imported(path, merchant_id="shop-{shop}", merchant_category=category)
    assert [(row["merchant_id"], row["merchant_category"]) for row in rows] == [("shop-s7", "s7")]
    assert report.reasons == {"merchant_id: is missing": 1}
    assert (
        imported(path, merchant_id={"constant": "m"}, merchant_category=category)[1][0]["merchant_category"]
        == "unknown"
    )


def test_namibia_is_a_country(tmp_path: Path) -> None:
    report, rows, _ = imported(csv_of(tmp_path, "shop", ["NA", " "]), merchant_id={"constant": "m1"}, country="shop")
    assert [row["country"] for row in rows] == ["NA"]
    assert report.reasons == {"country: is missing": 1}


@pytest.mark.parametrize("written", ["4.0E+15", "4.00000E+15", "4E+15", "1.23457E+11"])
@pytest.mark.parametrize("field", ["user", "shop", "id", "card"])
def test_what_a_spreadsheet_rounded_is_refused(tmp_path: Path, field: str, written: str) -> None:
    hashed = {"column": "card", "sha256": True, "prefix": "card-"}
    report, rows, _ = imported(csv_of(tmp_path, field, [written, written]), card_token=hashed)
    assert (rows, report.rejected) == ([], 2)
    assert all("was rounded" in reason for reason in report.reasons)


def test_a_template_does_not_hide_what_was_rounded(tmp_path: Path) -> None:
    report, rows, _ = imported(csv_of(tmp_path, "user", ["4.0E+15", "7.0"]), user_id="customer-{user}")
    assert [row["user_id"] for row in rows] == ["customer-7"]
    assert report.rejected == 1


@pytest.mark.parametrize("default", [None, "somebody"])
def test_a_default_is_for_the_missing_not_for_the_rounded(tmp_path: Path, default: str | None) -> None:
    report, rows, _ = imported(
        csv_of(tmp_path, "user", ["4.0E+15", ""]), user_id={"column": "user", "default": default}
    )
    assert [row["user_id"] for row in rows] == ([default] if default else [])
    assert report.rejected == 2 - len(rows)


def test_integers_beyond_64_bits_stay_as_many_people_as_there_are(tmp_path: Path) -> None:
    users = [2**53 + 1, 2**53, 2**64, 2**64 + 1, 10**30, 10**30 + 1]
    report, rows, _ = imported(jsonl_of(tmp_path, "user", [str(user) for user in users]))
    assert [row["user_id"] for row in rows] == [str(user) for user in users]
    assert report.accepted == len(users)


def test_a_fraction_beside_it_does_not_round_an_integer(tmp_path: Path) -> None:
    _, rows, _ = imported(jsonl_of(tmp_path, "user", ["9007199254740993", "9007199254740992", "1.5"]))
    assert [row["user_id"] for row in rows] == ["9007199254740993", "9007199254740992", "1.5"]


@pytest.mark.parametrize(
    "values", [pa.array([2.0**53, 2.0**53 + 2, 7.0]), pa.array([2.0**24, 2.0**24 + 2, 7.0], pa.float32())]
)
def test_floats_that_may_be_two_people_are_refused(tmp_path: Path, values: pa.Array) -> None:
    report, rows, _ = imported(parquet_of(tmp_path, "user", values))
    assert ([row["user_id"] for row in rows], report.rejected) == (["7"], 2)


def test_labels_follow_the_rule_of_whole_numbers(tmp_path: Path) -> None:
    report, _, _ = imported(csv_of(tmp_path, "fraud", ["1.0", "0.0", "0", "1", "NULL"]))
    assert (report.accepted, report.labels) == (5, 2)


SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda n: "-".join((n[:4], n[4:8], n[8:12], n[12:])),
    lambda n: " ".join((n[:4], n[4:8], n[8:12], n[12:])),
    lambda n: f"card-{n}",
    lambda n: f"card{n}",
    lambda n: f"{n}.0",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_tokens_that_are_card_numbers_are_refused_row_by_row_and_shown_nowhere(
    tmp_path: Path, spelling: Callable[[str], str]
) -> None:
    report, rows, rejects = imported(csv_of(tmp_path, "card", [*map(spelling, CARDS), "card-1"]))
    assert (len(rows), report.rejected) == (1, 4)
    assert all(reason.startswith("card_token: looks like a card number") for reason in report.reasons)
    for number in CARDS:
        assert number[:12] not in rejects
        assert spelling(number)[:-1] not in rejects


def test_spellings_of_a_hashed_number_are_one_card(tmp_path: Path) -> None:
    hashed = {"column": "card", "sha256": True, "prefix": "card-"}
    values = [spelling(CARDS[0]) for spelling in SPELLINGS if "card" not in spelling("")]
    _, rows, _ = imported(csv_of(tmp_path, "card", values), card_token=hashed)
    assert len(rows) == len(values)
    assert len({row["card_token"] for row in rows}) == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "changes", [{"user_id": "no"}, {"user_id": "customer-{no}"}, {"transaction_id": "{no}-{at}"}, {"merchant_id": "no"}]
)
def test_a_column_of_card_numbers_is_refused_as_an_id(
    tmp_path: Path, spelling: Callable[[str], str], changes: dict[str, Any]
) -> None:
    path = tmp_path / "a.csv"
    lines = [f"t{n},{spelling(card)},1,s1,{AT},0" for n, card in enumerate(CARDS)]
    path.write_text("\n".join(["id,no,amt,shop,at,fraud", *lines]))
    usual = {"user_id": "id", "card_token": "card-{id}"}
    with pytest.raises(MappingError, match=r"column 'no' holds card numbers.*no_cards") as raised:
        imported(path, **usual | changes)
    assert not any(card[4:10] in str(raised.value) for card in CARDS)
    assert not (tmp_path / "lake").exists() or not list((tmp_path / "lake").glob("**/*.*"))
    report, _, _ = imported(path, **usual | changes, no_cards=["no"])
    assert report.accepted == 4


def test_long_numbers_are_ids_by_right(tmp_path: Path) -> None:
    users = [str(4_111_111_111_111_111 + 37 * n) for n in range(200)]
    report, _, _ = imported(csv_of(tmp_path, "user", users))
    assert report.accepted == 200


def test_parquet_columns_of_numbers_are_judged_too(tmp_path: Path) -> None:
    for values in (pa.array([int(card) for card in CARDS]), pa.array([float(card) for card in CARDS])):
        with pytest.raises(MappingError, match="card numbers"):
            imported(parquet_of(tmp_path, "user", values))


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "card"},
        {"transaction_id": "{card}-{at}"},
        {"merchant_category": {"column": "card", "default": "x"}},
        {"label": {"column": "fraud", "scenario": {"column": "card"}}},
        {"timestamp": {"column": "card"}},
    ],
)
def test_a_mapping_that_hashes_a_column_and_reads_it_plainly_is_refused(changes: dict[str, Any]) -> None:
    hashed = {"card_token": {"column": "card", "sha256": True}}
    with pytest.raises(ValueError, match="hashes 'card' in one field"):
        TransactionMapping.model_validate(PLAIN | hashed | changes)
    TransactionMapping.model_validate(PLAIN | hashed | {"user_id": {"column": "card", "sha256": True}})


def test_no_cards_names_columns_that_are_read() -> None:
    with pytest.raises(ValueError, match="no_cards names 'usre'"):
        TransactionMapping.model_validate(PLAIN | {"no_cards": ["usre"]})


def test_rejects_never_show_a_card_number_in_any_column(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    shown = {"at": CARDS[0], "note": [int(CARDS[1]), {"deep": float(CARDS[1])}], CARDS[2]: "name", "shop": CARDS[3]}
    usual = rows_of("user", ["u1"])[0]
    path.write_text(json.dumps(usual) + "\n" + json.dumps(usual | {"id": "t2"} | shown) + f'\n{{"card": "{CARDS[0]}"\n')
    report, _, rejects = imported(path)
    assert (report.accepted, report.rejected) == (1, 2)
    assert not any(card[:-4] in rejects for card in CARDS)


def test_a_file_without_header_does_not_show_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"t1,u1,{CARDS[0]},1,s1,{AT},0\n" * 2)
    with pytest.raises(MappingError, match="does not have") as raised:
        imported(path)
    assert CARDS[0][:-4] not in str(raised.value)


def test_shipped_mappings_keep_both_rules() -> None:
    assert load_mapping("sparkov").hashed_columns == {"cc_num"}


@pytest.mark.parametrize("value", ["true", "[7]", "Infinity"])
@pytest.mark.parametrize("neighbour", ['"u1"', "7", "null", "true", "7.5"])
def test_what_is_no_id_is_none_beside_any_other(tmp_path: Path, value: str, neighbour: str) -> None:
    """Among texts each became one: `true`, `[7]` and `inf` were people."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(
            f'{{"id": "t{row}", "user": {user}, "card": "card-1", "amt": 1, "shop": "s", "at": "{AT}", "fraud": 1}}\n'
            for row, user in enumerate([neighbour, value])
        )
    )
    report, rows, rejects = imported(path)
    good = neighbour in ('"u1"', "7", "7.5")
    assert [row["transaction_id"] for row in rows] == (["t0"] if good else [])
    assert report.labels == good and '"row":2,"line":2,"reason":"user_id: is ' in rejects

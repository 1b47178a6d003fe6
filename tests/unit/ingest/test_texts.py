"""Text fields by a map of values, with defaults in templates, and by the row's number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lamina.ingest.fields import TextField
from lamina.ingest.transactions import read_events
from tests.unit.ingest.test_files import GOOD, as_csv, mapping, put, run
from tests.unit.ingest.test_transactions import stored


def texts(tmp_path: Path, name: str, how: Any, values: list[Any]) -> list[str | None]:
    """What field `name` becomes for the values of a column `x`, None where the row is refused."""
    path = put(
        tmp_path, "a.jsonl", "\n".join(json.dumps({**GOOD, "id": f"t{n}", "x": v}) for n, v in enumerate(values))
    )
    events = next(iter(read_events(path, mapping(**{name: how}))))
    found = dict.fromkeys(range(1, len(values) + 1), None)
    numbers = [n for n in found if n not in {row.row for row in events.rejected}]
    found |= dict(zip(numbers, events.transactions[name].to_pylist(), strict=True))
    return list(found.values())


def test_values_are_called_what_the_mapping_calls_them(tmp_path: Path) -> None:
    values = {"PAYMENT": "online", "CASH": "atm", 7: "transfer"}
    how: dict[str, Any] = {"column": "x", "values": values}
    given = ["PAYMENT", " CASH ", 7, "7.0", "online", "other", None]
    assert texts(tmp_path, "transaction_type", how, given) == [
        "online", "atm", "transfer", "transfer", "online", None, None,
    ]  # fmt: skip
    all_named = {**how, "otherwise": "in_store", "default": "transfer"}
    assert texts(tmp_path, "transaction_type", all_named, given)[4:] == ["in_store", "in_store", "transfer"]
    country: dict[str, Any] = {"column": "x", "values": {"Belgium": "BE", "NA": "NA"}}
    assert texts(tmp_path, "country", country, ["Belgium", "NA", "BE", "Nowhere"]) == ["BE", "NA", "BE", None]


def test_a_template_has_a_text_for_what_is_empty(tmp_path: Path) -> None:
    how = {"template": "{user}-{x}", "default": "none"}
    assert texts(tmp_path, "user_id", how, ["a", None, "NULL", 7.0]) == ["u1-a", "u1-none", "u1-none", "u1-7"]
    assert texts(tmp_path, "user_id", "{user}-{x}", ["a", None]) == ["u1-a", None]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_rows_number_is_an_id_that_bad_rows_do_not_shift(tmp_path: Path, kind: str) -> None:
    rows = [{**GOOD, "amt": amount} for amount in ("1", "x", "3")]
    content = as_csv(rows) if kind == "csv" else "\n".join(json.dumps(row) for row in rows)
    path = put(tmp_path, f"a.{kind}", content.replace("t1", "same", 1))
    report = run(path, transaction_id={"row_number": True, "prefix": "row-"}, user_id={"row_number": True})
    assert (report.accepted, report.rejected) == (2, 1)
    kept = stored(tmp_path / "lake", "transactions").sort_by("transaction_id")
    assert kept["transaction_id"].to_pylist() == ["row-1", "row-3"]
    assert kept["user_id"].to_pylist() == ["1", "3"]
    corrected = next((tmp_path / "lake" / "rejects").glob("*/*.jsonl")).read_text().replace('"x"', '"2"')
    run(put(tmp_path, "b.jsonl", corrected), transaction_id={"row_number": True, "prefix": "row-"})
    ids = stored(tmp_path / "lake", "transactions")["transaction_id"].to_pylist()
    assert sorted(ids) == ["row-1", "row-2", "row-3"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"row_number": True, "column": "a"}, "exactly one of"),
        ({"row_number": True, "default": "x"}, "nor default with row_number"),
        ({"row_number": True, "sha256": True}, "go with a column"),
        ({"constant": "a", "values": {"a": "b"}}, "go with a column"),
        ({"constant": "a", "default": "b"}, "go with a column"),
        ({"template": "{a}", "prefix": "b"}, "prefix does not go with a template"),
        ({"column": "a", "otherwise": "b"}, "otherwise goes with values"),
        ({"column": "a", "values": {"a": "b"}, "sha256": True}, "do not go together"),
        ({"column": "a", "values": {True: "b"}}, "quote it"),
    ],
)
def test_what_cannot_be_right_is_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TextField.model_validate(how)

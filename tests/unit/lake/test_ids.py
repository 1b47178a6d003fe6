"""The rule of ids on columns against the rule on values."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lamina.contracts.ids import EXACT_BELOW, MISSING, NO_TEXT, NOTHING, ROUNDED, id_of
from lamina.lake.ids import ids_of
from tests.unit.contracts.test_ids import INEXACT, NONE, SAME


def of_values(values: list[Any], exact_below: int = EXACT_BELOW) -> list[tuple[str | None, str | None]]:
    found: list[tuple[str | None, str | None]] = []
    for value in values:
        try:
            found.append((id_of(value, exact_below), None))
        except ValueError as error:
            found.append((None, str(error)))
    return found


def of_column(column: pa.Array | pa.ChunkedArray) -> list[tuple[str | None, str | None]]:
    texts, reasons = ids_of(column)
    assert texts.type == pa.string()
    return list(zip(texts.to_pylist(), reasons.tolist(), strict=True))


def test_text_columns() -> None:
    texts = [v for v, *_ in [*SAME, *((v,) for v in (*NONE, *INEXACT))] if v is None or isinstance(v, str)]
    texts += [
        f"{before}{text}{after}" for text in NOTHING for before in ("", " ", "x") for after in ("", "\u00a0", "y")
    ]
    assert of_column(pa.array(texts, pa.string())) == of_values(texts)
    assert of_column(pa.array(texts, pa.large_string())) == of_values(texts)
    assert of_column(pa.array(texts).dictionary_encode()) == of_values(texts)
    assert of_column(pa.chunked_array([texts[:9], texts[9:]])) == of_values(texts)


@pytest.mark.parametrize(("kind", "exact_below"), [(pa.float64(), 2**53), (pa.float32(), 2**24)])
@pytest.mark.parametrize("odd", [[], [7.5], [2.0**53], [float("inf")]])
def test_a_float_is_judged_by_itself_whatever_its_neighbours(
    kind: pa.DataType, exact_below: int, odd: list[float]
) -> None:
    column = pa.array([596.0, None, float("nan"), 0.0, -7.0, 2.0**24 - 1, 2.0**24, *odd], kind)
    assert of_column(column) == of_values(column.to_pylist(), exact_below)


def test_other_types() -> None:
    assert of_column(pa.array([7, None, 2**63 - 1])) == [("7", None), (None, MISSING), (str(2**63 - 1), None)]
    assert of_column(pa.array([2**64 - 1], pa.uint64())) == [(str(2**64 - 1), None)]
    assert of_column(pa.array([Decimal("18446744073709551617")], pa.decimal128(38, 0))) == [
        ("18446744073709551617", None)
    ]
    assert of_column(pa.array([True, None])) == [(None, NO_TEXT), (None, MISSING)]
    assert of_column(pa.array([b"u1 ", b"\xff"])) == [("u1", None), (None, "is not UTF-8")]
    assert of_column(pa.array([[1], None])) == [(None, NO_TEXT), (None, MISSING)]
    assert of_column(pa.array([], pa.string())) == []
    assert of_column(pa.nulls(2)) == [(None, MISSING)] * 2


def test_generated_texts() -> None:
    rng = random.Random(11)
    pieces = ["7", "0", ".", "-", "e", "E", "+", " ", "\u00a0", "n", "a", "NULL", "N/A", "\\N", "x", "9" * 16, "\ufeff"]
    texts = ["".join(rng.choices(pieces, k=rng.randrange(5))) for _ in range(5000)]
    found = of_column(pa.array(texts))
    assert found == of_values(texts)
    assert sum(reason == ROUNDED for _, reason in found) > 5

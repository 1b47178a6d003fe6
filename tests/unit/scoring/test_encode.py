from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lamina.scoring.encode import Encoder, as_input, categories_of
from lamina.scoring.inputs import Input

INPUTS = (
    Input(name="count", meaning="", default=0.0),
    Input(name="mean", meaning=""),
    Input(name="kind", meaning="", categories=("web", "shop")),
)


def filled(features: dict[str, float | str | None]) -> list[float]:
    out = np.full(3, 99, np.float32)
    Encoder(INPUTS).fill(out, features)
    return [float(v) for v in out]


def test_known_values_take_their_places() -> None:
    assert filled({"kind": "shop", "mean": 2.5, "count": 3.0}) == [3.0, 2.5, 1.0]


@pytest.mark.parametrize("features", [{}, {"count": None, "mean": None, "kind": None}])
def test_absent_and_none_are_the_same(features: dict[str, float | str | None]) -> None:
    count, mean, kind = filled(features)
    assert count == 0.0
    assert np.isnan(mean)
    assert kind == 2.0


def test_an_unseen_category_is_one_past_the_known() -> None:
    assert filled({"kind": "kiosk"})[2] == 2.0


def test_columns_and_rows_agree() -> None:
    rows: list[dict[str, float | str | None]] = [
        {"count": 1.0, "mean": 0.5, "kind": "web"},
        {"count": None, "mean": None, "kind": None},
        {"count": 7.0, "mean": 1.5, "kind": "kiosk"},
    ]
    columns = {
        "count": np.array([1.0, np.nan, 7.0]),
        "mean": np.array([0.5, np.nan, 1.5]),
        "kind": np.array(["web", None, "kiosk"], dtype=object),
    }
    np.testing.assert_array_equal(Encoder(INPUTS).matrix(columns, 3), np.array([filled(r) for r in rows], np.float32))


def test_frequent_categories_come_first() -> None:
    assert categories_of(np.array(["b", "a", "b", None, "c"], dtype=object)) == ("b", "a", "c")


def test_no_categories_at_all() -> None:
    assert categories_of([None, None]) == ()


def test_columns_become_inputs() -> None:
    table = pa.table({"n": [1, None], "t": ["x", None], "b": [True, None], "none": pa.nulls(2)})
    np.testing.assert_array_equal(as_input(table.column("n")), [1.0, np.nan])
    np.testing.assert_array_equal(as_input(table.column("b")), [1.0, np.nan])
    assert as_input(table.column("t")).tolist() == ["x", None]
    assert as_input(table.column("none")).tolist() == [None, None]

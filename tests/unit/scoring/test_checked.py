"""All that a model gives of a row, looked at before anybody uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from lamina.errors import BadScore
from lamina.scoring.checked import each_of, outputs_of
from lamina.scoring.protocol import Outputs


class Two:
    """Gives a probability and a sum of money, read from the row."""

    system, names = "shop", ("p", "worth")

    def __init__(self, outputs: tuple[str, ...] = ("purchase", "worth")) -> None:
        self.outputs = outputs

    def predict(self, features: Mapping[str, Any]) -> float:
        return float(features["p"])

    def predict_batch(self, rows: Sequence[Mapping[str, Any]]) -> Outputs:
        columns = {"purchase": "p", "worth": "worth"}
        return {name: np.array([row[columns[name]] for row in rows], float) for name in self.outputs}

    predict_columns = explain = predict_batch


ROWS = [{"p": 0.25, "worth": 120.5}, {"p": 1 + 1e-9, "worth": -3.0}]


def test_every_output_has_its_name_and_the_score_comes_first() -> None:
    found = [{"purchase": 0.25, "worth": 120.5}, {"purchase": 1.0, "worth": -3.0}]
    assert each_of(Two(), ROWS) == found  # type: ignore[arg-type]
    assert [outputs_of(Two(), row) for row in ROWS] == found  # type: ignore[arg-type]
    assert [list(each) for each in found] == [["purchase", "worth"]] * 2
    assert outputs_of(Two(("purchase",)), ROWS[0]) == {"purchase": 0.25}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "row", [{"p": 1.5, "worth": 1.0}, {"p": float("nan"), "worth": 1.0}, {"p": 0.5, "worth": float("inf")}]
)
def test_one_that_is_wrong_fails_all_of_them(row: dict[str, float]) -> None:
    with pytest.raises(BadScore):
        outputs_of(Two(), row)  # type: ignore[arg-type]
    with pytest.raises(BadScore):
        each_of(Two(), [ROWS[0], row])  # type: ignore[arg-type]


def test_as_many_numbers_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Two, "predict_batch", lambda self, rows: {"purchase": np.ones(2), "worth": np.ones(1)})
    with pytest.raises(BadScore, match="1 scores of 2 rows"):
        each_of(Two(), ROWS)  # type: ignore[arg-type]

"""Evidently's page is made of the sketches alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lamina.monitoring.drift.distributions import Numbers, Texts
from lamina.monitoring.drift.evidently_page import drawn, write_page

HALF = Numbers(np.array([1.0, 2.0]), np.array([30.0, 10.0]), 40, 0.0)
WORDS = Texts({"a": 3, "b": 1}, 4, 0, 0.0)


def test_values_are_drawn_in_their_shares() -> None:
    found = drawn(HALF, 80)
    assert [(found == value).sum() for value in (1.0, 2.0)] == [30, 10] and np.isnan(found).sum() == 40
    texts = drawn(WORDS, 80).tolist()
    assert [texts.count(text) for text in ("a", "b", "others")] == [30, 10, 40]


def test_a_column_without_values_is_all_missing() -> None:
    assert np.isnan(drawn(Numbers(np.empty(0), np.empty(0), 5, 0.0), 4)).all()
    assert np.isnan(drawn(Numbers(np.empty(0), np.empty(0), 0, 0.0), 4)).all()
    assert drawn(Texts({}, 0, 3, 0.0), 2).tolist() == [None, None]


def test_the_page_names_the_columns_that_both_have(tmp_path: Path) -> None:
    empty = Numbers(np.empty(0), np.empty(0), 0, 0.0)
    file = tmp_path / "drift.html"
    write_page(file, {"amount": HALF, "kind": WORDS, "gone": HALF}, {"amount": HALF, "kind": WORDS, "gone": empty})
    text = file.read_text()
    assert "amount" in text and "kind" in text and "gone" not in text

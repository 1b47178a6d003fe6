"""Sparse columns answer as the whole ones that they stand for."""

from __future__ import annotations

import pytest

from lamina.store.sparse import Hashes, Sparse, numbers_of, texts_of

SPANS = ((0, 5), (1, 2), (2, 3), (3, 5), (4, 5), (0, 0))
HELD = {(0, 5): "bd", (1, 2): "b", (3, 5): "d"}


def test_texts() -> None:
    column: Sparse[str | None] = Sparse(5, [1, 3], ["b", "d"], None)
    assert list(column) == [None, "b", None, "d", None] == column[:]
    assert (column[2:], len(column)) == ([None, "d", None], 5)
    assert (column[1:4:2], column[::-1]) == (["b", "d"], [None, "d", None, "b", None])
    assert ["".join(map(str, texts_of(column, *span))) for span in SPANS] == [HELD.get(span, "") for span in SPANS]
    for beyond in (-1, 5, 6):
        with pytest.raises(IndexError):
            column[beyond]


def test_hashes() -> None:
    column = Hashes(5, [1, 3], [2, 3], [10, 255, 10])
    dense = [[], ["000000000000000a", "00000000000000ff"], [], ["000000000000000a"], []]
    assert list(column) == dense == column[:]
    assert (column[3], len(column)) == (["000000000000000a"], 5)
    assert column[1:4:2] == [dense[1], dense[3]]
    for i, j in SPANS:
        assert list(numbers_of(column, i, j)) == list(numbers_of(dense, i, j))
    for beyond in (-1, 5, 6):
        with pytest.raises(IndexError):
            column[beyond]

"""What every index must do: an implementation's test subclasses `IndexContract` and says how one is built."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lamina.scoring.retrieval import Index, RetrievalError

VERSION = "7"
IDS = ["d", "b", "a", "c"]
VECTORS = np.array([[0.9, 0.1, 0], [0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]], np.float32)


class IndexContract:
    """The suite. Numbers of generated vectors are small integers, whose products are exact however they are summed."""

    SCORES_OFF = 0.0
    """How far a score may be from the product: an engine may keep another number, from which it is made again."""

    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        """An index of version `VERSION`."""
        raise NotImplementedError

    def test_the_nearest_come_first_each_with_its_score(self) -> None:
        index = self.build(IDS, VECTORS)
        found = index.search(np.array([[1, 0, 0], [0, 2, 0]], np.float32), 2, model_version=VERSION)
        assert found.ids.tolist() == [["a", "d"], ["b", "c"]]
        assert np.abs(found.scores - np.array([[1, 0.9], [2, 1]])).max() < 1e-6
        assert found.scores.dtype == np.float32
        assert (len(index), index.dimensions, index.model_version) == (4, 3, VERSION)

    def test_what_is_in_it(self) -> None:
        index = self.build(IDS, VECTORS)
        assert all(id_ in index for id_ in IDS)
        assert "" not in index and "bb" not in index and "e" not in index and 3 not in index
        assert "a" not in self.build([], np.empty((0, 3), np.float32))

    def test_more_than_there_are_is_all_of_them(self) -> None:
        found = self.build(IDS, VECTORS).search(np.array([[1, 0, 0]], np.float32), 9, model_version=VERSION)
        assert found.ids.tolist() == [["a", "d", "c", "b"]]

    def test_of_equals_the_smaller_id_comes_first(self) -> None:
        index = self.build(["z", "m", "a", "k"], np.ones((4, 1), np.float32))
        assert index.search(np.ones((1, 1), np.float32), 3, model_version=VERSION).ids.tolist() == [["a", "k", "m"]]

    def test_nothing_in_it_and_nothing_asked(self) -> None:
        empty = self.build([], np.empty((0, 3), np.float32))
        assert empty.search(VECTORS, 2, model_version=VERSION).ids.shape == (4, 0)
        none = self.build(IDS, VECTORS).search(np.empty((0, 3), np.float32), 2, model_version=VERSION)
        assert none.ids.shape == none.scores.shape == (0, 2)

    @pytest.mark.parametrize(
        ("vectors", "k", "version", "what"),
        [
            (VECTORS, 2, "8", "version 8 .* version 7"),
            (VECTORS[:, :2], 2, VERSION, r"shape \(4, 2\) where \[n, 3\]"),
            (VECTORS[0], 2, VERSION, r"shape \(3,\)"),
            (VECTORS * np.float32("nan"), 2, VERSION, "not finite"),
            (VECTORS, 0, VERSION, "0 items are asked for"),
        ],
    )
    def test_what_cannot_be_asked(self, vectors: NDArray[np.float32], k: int, version: str, what: str) -> None:
        with pytest.raises(RetrievalError, match=what):
            self.build(IDS, VECTORS).search(vectors, k, model_version=version)

    @pytest.mark.parametrize(
        ("ids", "vectors", "what"),
        [
            (["a", "a"], VECTORS[:2], "twice"),
            (["a"], VECTORS, r"1 ids and vectors of shape \(4, 3\)"),
            (["a"], VECTORS[0], "one row an id"),
            (["a"], np.array([[np.inf]], np.float32), "not finite"),
        ],
    )
    def test_what_cannot_be_built(self, ids: list[str], vectors: NDArray[np.float32], what: str) -> None:
        with pytest.raises(RetrievalError, match=what):
            self.build(ids, vectors)

    # One test of several classes: what was found with one is tried with the others, too.
    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.data())
    def test_it_answers_as_a_sort_of_everything_does(self, data: st.DataObject) -> None:
        self.answers_as_a_sort_does(data)

    def answers_as_a_sort_does(self, data: st.DataObject) -> None:
        numbers = st.integers(-3, 3)
        width = data.draw(st.integers(1, 3))
        rows = st.lists(numbers, min_size=width, max_size=width)
        items = data.draw(st.dictionaries(st.text("abc", max_size=3), rows, min_size=1, max_size=9))
        asked = data.draw(st.lists(rows, min_size=1, max_size=3))
        k = data.draw(st.integers(1, 10))
        index = self.build(list(items), np.array(list(items.values()), np.float32))
        found = index.search(np.array(asked, np.float32), k, model_version=VERSION)
        for place, vector in enumerate(asked):
            scores = {id_: sum(a * b for a, b in zip(vector, item, strict=True)) for id_, item in items.items()}
            expected = sorted(scores, key=lambda id_: (-scores[id_], id_))[:k]
            assert found.ids[place].tolist() == expected
            off = np.abs(found.scores[place] - np.array([scores[id_] for id_ in expected]))
            assert off.max() <= self.SCORES_OFF

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from lamina.indexes import shard as module
from lamina.indexes.shard import FaissShard
from lamina.scoring.retrieval import RetrievalError, by_id
from tests.unit.indexes.made import items, users


@pytest.fixture(scope="module")
def shard() -> FaissShard:
    return FaissShard.build(*by_id(*items()))


def test_every_list_looked_into_is_an_exact_search(shard: FaissShard) -> None:
    names, vectors = by_id(*items())
    asked = users(20)
    found = shard.probing(shard.lists).search(asked, 50)
    _, exact = faiss.knn(asked, vectors, 50, metric=faiss.METRIC_INNER_PRODUCT)
    assert found.ids.tolist() == names[exact].tolist()
    assert np.allclose(found.scores, np.sort(asked @ vectors.T)[:, ::-1][:, :50], atol=1e-4)


def test_more_lists_find_more(shard: FaissShard) -> None:
    whole = shard.probing(shard.lists).search(users(50), 5).ids

    def found(probes: int) -> float:
        some = shard.probing(probes).search(users(50), 5).ids
        return float(np.mean([len(set(a) & set(b)) for a, b in zip(some, whole, strict=True)])) / 5

    assert shard.lists > 60
    assert found(1) < found(8) < found(shard.lists) == 1.0
    assert found(8) > 0.5


def test_how_long_a_users_vector_is_changes_nothing(shard: FaissShard) -> None:
    some = shard.probing(2)
    found = [some.search(users(20) * np.float32(length), 5).ids.tolist() for length in (1e-3, 1, 1e3)]
    assert found[0] == found[1] == found[2]


def test_somebody_without_a_direction_is_answered(shard: FaissShard) -> None:
    found = shard.probing(2).search(np.zeros((1, 16), np.float32), 5)
    assert found.ids.shape == (1, 5) and (found.scores == 0).all()


def test_what_is_looked_into_is_no_more_than_was_said(shard: FaissShard) -> None:
    found, whole = shard.probing(1).looked_into(users(10), 2000), shard.search(users(10), 2000)
    held = (found.ids != "").sum(axis=1)
    assert (held < 300).all() and (held > 0).all()
    assert not any("" in row for row in whole.ids)
    best = shard.probing(shard.lists).search(users(10), 1)
    assert np.mean(found.ids[:, 0] == best.ids[:, 0]) > 0.3


def test_lists_that_hold_too_few_are_not_the_whole_answer(shard: FaissShard) -> None:
    asked = users(10)
    found = shard.probing(1).search(asked, 2900)
    whole = shard.probing(shard.lists).search(asked, 2900)
    assert found.ids.tolist() == whole.ids.tolist()


def test_of_many_equals_the_smaller_ids_are_given() -> None:
    names, vectors = by_id([f"{n:03d}" for n in range(30)], np.ones((30, 2), np.float32))
    found = FaissShard.build(names, vectors).search(np.ones((1, 2), np.float32), 4)
    assert found.ids.tolist() == [["000", "001", "002", "003"]]


def test_equals_are_looked_for_no_further_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without a vector is as near to everything: that is not a reason to sort the whole catalogue."""
    monkeypatch.setattr(module, "TIED", 2)
    names, vectors = by_id([f"{n:04d}" for n in range(2000)], np.ones((2000, 2), np.float32))
    found = FaissShard.build(names, vectors).search(np.zeros((1, 2), np.float32), 4)
    assert found.ids.shape == (1, 4) and len(set(found.ids[0])) == 4


def test_what_was_saved_answers_as_before(shard: FaissShard, tmp_path: Path) -> None:
    names = shard.save(tmp_path, 3)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)
    again = FaissShard.open(tmp_path, 3, len(shard), 2)
    asked = users(5)
    assert again.search(asked, 9).ids.tolist() == shard.probing(2).search(asked, 9).ids.tolist()
    assert "item-7" in again and "item" not in again


@pytest.mark.parametrize(("file", "content"), [(0, b"[]"), (0, b"{"), (1, b"x"), (1, None)])
def test_what_cannot_be_opened_is_named(shard: FaissShard, tmp_path: Path, file: int, content: bytes | None) -> None:
    name = shard.save(tmp_path, 0)[file]
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(RetrievalError, match="build it again"):
        FaissShard.open(tmp_path, 0, len(shard), 1)

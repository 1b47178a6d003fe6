from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lamina.indexes.changes import Change, ChangeLog
from lamina.scoring.retrieval import RetrievalError

ONE = np.ones((1, 3), np.float32)


def test_changes_are_read_in_their_order(tmp_path: Path) -> None:
    log = ChangeLog(tmp_path / "changes")
    assert log.last() == 0 and list(log.after(0)) == []
    assert log.append(Change("4", ["b", "a"], np.array([[1, 2], [3, 4]], np.float32))) == 1
    assert log.append(Change(removed=["ä\x00", "b"])) == 2
    (one, first), (two, second) = log.after(0)
    assert (one, two) == (1, 2)
    assert (first.model_version, list(first.ids), list(first.removed)) == ("4", ["a", "b"], [])
    assert first.vectors.tolist() == [[3, 4], [1, 2]] and first.vectors.dtype == np.float32
    assert (list(second.ids), list(second.removed)) == ([], ["ä\x00", "b"])
    assert [number for number, _ in log.after(1)] == [2] and list(log.after(2)) == []


def test_writers_take_no_number_from_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda n: ChangeLog(tmp_path).append(Change(removed=[str(n)])), range(60)))
    assert sorted(numbers) == list(range(1, 61))
    assert {change.removed[0] for _, change in ChangeLog(tmp_path).after(0)} == {str(n) for n in range(60)}
    assert len(list(tmp_path.iterdir())) == 60


def test_numbers_go_on_after_all_was_forgotten(tmp_path: Path) -> None:
    log = ChangeLog(tmp_path)
    for n in range(3):
        log.append(Change(removed=[str(n)]))
    log.forget(1)
    assert [number for number, _ in log.after(1)] == [2, 3]
    log.forget(9)
    assert [number for number, _ in log.after(2)] == [3]
    assert log.append(Change(removed=["x"])) == 4


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (Change("4", ["a"], ONE, ["a"]), "'a' came and went"),
        (Change("4", ["a", "a"], np.ones((2, 3), np.float32)), "twice"),
        (Change("4", ["a", "b"], ONE), "one row an id"),
        (Change("4", ["a"], ONE * np.float32("inf")), "not finite"),
    ],
)
def test_what_is_no_change_is_not_written(tmp_path: Path, change: Change, what: str) -> None:
    with pytest.raises(RetrievalError, match=what):
        ChangeLog(tmp_path).append(change)
    assert not list(tmp_path.iterdir())


def test_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    log = ChangeLog(tmp_path)
    log.append(Change(removed=["a"]))
    log.append(Change(removed=["b"]))
    (tmp_path / "000000000002.npz").write_bytes(b"PK")
    read = log.after(0)
    assert next(read)[0] == 1
    with pytest.raises(RetrievalError, match=r"000000000002\.npz holds no change"):
        next(read)

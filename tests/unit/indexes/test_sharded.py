from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from lamina.indexes.build import Gate, build_index
from lamina.indexes.manifest import MANIFEST
from lamina.indexes.shard import FaissShard
from lamina.indexes.sharded import ShardedIndex, ShardsLate, shard_of
from lamina.scoring.retrieval import Nearest, RetrievalError
from tests.unit.indexes.made import VERSION, items, users


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / "index"
    build_index(folder, *items(), model_version=VERSION, gate=Gate(users(), k=50, most_probed=0.5), shards=3)
    return folder


class Held(FaissShard):
    """A shard that answers when it may."""

    def __init__(self, shard: FaissShard, may: threading.Event) -> None:
        self.shard, self.may, self.asked = shard, may, 0

    def search(self, vectors: NDArray[np.float32], k: int) -> Nearest:
        self.asked += 1
        assert self.may.wait(30)
        return self.shard.search(vectors, k)


class Broken(FaissShard):
    def __init__(self) -> None: ...

    def search(self, vectors: NDArray[np.float32], k: int) -> Nearest:
        raise MemoryError("no room")


def counted(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("index_shards_total", {"index": name, "outcome": outcome}) or 0.0


def test_items_are_where_their_id_says(folder: Path) -> None:
    index = ShardedIndex.open(folder, name="where")
    assert len(index) == 3000 and "item-5" in index and "item-3000" not in index and None not in index
    assert {shard_of(f"item-{n}", 3) for n in range(20)} == {0, 1, 2}
    found = index.search(users(3), 10, model_version=VERSION)
    assert found.missing == () and found.ids.shape == (3, 10)
    assert counted("where", "answered") == 3


def test_a_late_shard_is_left_out_and_named(folder: Path) -> None:
    opened = ShardedIndex.open(folder, name="whole")
    shards, may = list(opened._shards), threading.Event()
    held = Held(shards[1], may)
    index = ShardedIndex("late", opened.manifest, [shards[0], held, shards[2]], deadline_s=0.05, threads=3)
    found = index.search(users(2), 3000, model_version=VERSION)
    assert found.missing == (1,)
    assert {shard_of(id_, 3) for id_ in found.ids.ravel()} == {0, 2}
    assert found.ids.shape == (2, len(shards[0]) + len(shards[2]))
    assert (counted("late", "late"), counted("late", "answered")) == (1, 2)
    may.set()
    whole = ShardedIndex("late", opened.manifest, [shards[0], held, shards[2]], deadline_s=20, threads=3)
    assert whole.search(users(2), 30, model_version=VERSION).missing == ()


def test_a_shard_that_fails_is_left_out_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened = ShardedIndex.open(folder, name="whole")
    index = ShardedIndex("failing", opened.manifest, [*opened._shards[:2], Broken()])
    assert index.search(users(1), 5, model_version=VERSION).missing == (2,)
    assert counted("failing", "failed") == 1
    assert "shard 2 of index failing failed" in caplog.text


def test_what_is_late_for_a_thread_does_not_begin(folder: Path) -> None:
    """Else an index that is too slow would have ever more to do."""
    opened = ShardedIndex.open(folder, name="whole")
    may = threading.Event()
    first, second = (Held(shard, may) for shard in opened._shards[:2])
    index = ShardedIndex("stuck", opened.manifest, [first, second, second], deadline_s=0.02)
    for _ in range(3):
        with pytest.raises(ShardsLate, match=r"none of the 3 shards of index 'stuck' answered within 0\.02 s"):
            index.search(users(1), 5, model_version=VERSION)
    may.set()
    index._pool.shutdown()
    assert (first.asked, second.asked) == (1, 0)
    assert counted("stuck", "late") == 9


def test_threads_that_search_together_get_their_own_answers(folder: Path) -> None:
    index = ShardedIndex.open(folder, name="threads", threads=2)
    asked = users(64)
    alone = [index.search(asked[n : n + 1], 20, model_version=VERSION).ids.tolist() for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda n: index.search(asked[n : n + 1], 20, model_version=VERSION).ids.tolist(), range(64))
    assert list(together) == alone


def test_a_search_takes_one_thread_of_the_machine(folder: Path) -> None:
    index = ShardedIndex.open(folder, name="quiet")
    index.search(users(1), 5, model_version=VERSION)
    assert index._pool.submit(faiss.omp_get_max_threads).result() == 1


@pytest.mark.parametrize("what", ["shard-001.faiss", "shard-002.ids.json", MANIFEST])
@pytest.mark.parametrize("change", ["lost", "other"])
def test_a_build_that_was_damaged_is_not_opened(tmp_path: Path, what: str, change: str) -> None:
    ids, vectors = items(200)
    build_index(tmp_path / "i", ids, vectors, model_version=VERSION, gate=Gate(users(), k=10), shards=3)
    file = tmp_path / "i" / what
    if change == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-9] + b"elsewhere")
    with pytest.raises(RetrievalError, match=r"again"):
        ShardedIndex.open(tmp_path / "i", name="damaged")

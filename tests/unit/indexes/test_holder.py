from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from lamina.errors import ModelUnavailable
from lamina.indexes.build import Gate
from lamina.indexes.builds import Builds
from lamina.indexes.changes import Change
from lamina.indexes.holder import IndexHolder
from lamina.indexes.shard import FaissShard
from lamina.scoring.retrieval import RetrievalError
from tests.unit.indexes.made import items, users

GATE = Gate(users(), k=10)
IDS, VECTORS = items(60)
ASKED = users(1)


def model_of(version: str) -> str:
    if version == "lost":
        raise ModelUnavailable("version lost is away")
    return f"model {version}"


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def publish(builds: Builds, version: str) -> int:
    return builds.publish(
        IDS[:50], VECTORS[:50], model_version=version, gate=GATE, through=builds.changes.last()
    ).number


def holder(builds: Builds, name: str = "tests") -> IndexHolder[str]:
    return IndexHolder(name, builds, model_of)


def counted(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("index_searches_total", {"index": name, "outcome": outcome}) or 0.0


def test_nothing_serves_before_the_first_build(builds: Builds) -> None:
    held = holder(builds)
    assert not held.refresh()
    with pytest.raises(RetrievalError, match="'tests' has no build in service: no build was published"):
        _ = held.current


def test_index_and_model_are_taken_over_together(builds: Builds) -> None:
    following = holder(builds)
    publish(builds, "3")
    assert following.refresh() and not following.refresh()
    before = following.current
    assert (before.build, before.model, before.model_version) == (1, "model 3", "3")
    publish(builds, "4")
    assert following.refresh()
    after = following.current
    assert (after.build, after.model, after.model_version) == (2, "model 4", "4")
    # Who began with the one before ends with it.
    assert before.search(ASKED, 5, model_version="3")[1:] == (1, "3")
    assert after.search(ASKED, 5, model_version="4")[1:] == (2, "4")
    builds.roll_back(2)
    assert following.refresh() and following.current.model == "model 3"


def test_a_vector_of_another_version_is_refused_and_counted(builds: Builds) -> None:
    publish(builds, "3")
    following = holder(builds, "versions")
    following.refresh()
    with pytest.raises(RetrievalError, match="vectors of version 4 are asked for in an index of version 3"):
        following.current.search(ASKED, 5, model_version="4")
    following.current.search(ASKED, 5, model_version="3")
    with pytest.raises(RetrievalError, match="0 items are asked for"):
        following.current.search(ASKED, 0, model_version="3")
    assert [counted("versions", outcome) for outcome in ("refused", "whole", "partial", "failed")] == [1, 1, 0, 1]


def test_an_answer_that_lacks_a_shard_is_counted(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, vectors = items(50)
    builds.publish(ids, vectors, model_version="3", gate=GATE, through=0, shards=2)
    following = holder(builds, "lacking")
    following.refresh()
    search, lock, turns = FaissShard.search, threading.Lock(), iter((True, False))

    def once(self: FaissShard, vectors: object, k: int) -> object:
        with lock:
            breaks = next(turns)
        if breaks:
            raise MemoryError
        return search(self, vectors, k)  # type: ignore[arg-type]

    monkeypatch.setattr(FaissShard, "search", once)
    found = following.current.search(ASKED, 5, model_version="3")
    assert len(found.nearest.missing) == 1 and counted("lacking", "partial") == 1


def test_what_changes_is_followed_and_survives_a_swap(builds: Builds) -> None:
    publish(builds, "3")
    following = holder(builds)
    following.refresh()
    best = following.current.search(ASKED, 1, model_version="3").nearest.ids[0, 0]
    builds.changes.append(Change(removed=[best]))
    builds.changes.append(Change("3", ["new"], ASKED * np.float32(100)))
    assert not following.refresh()
    found = following.current.search(ASKED, 50, model_version="3").nearest.ids[0]
    assert found[0] == "new" and best not in found
    # The next build was begun before, and does not hold them yet.
    builds.publish(IDS[:50], VECTORS[:50], model_version="3", gate=GATE, through=0)
    assert following.refresh()
    found = following.current.search(ASKED, 50, model_version="3").nearest.ids[0]
    assert found[0] == "new" and best not in found
    builds.changes.append(Change(removed=["new"]))
    following.refresh()
    assert "new" not in following.current.index and len(following.current.index) == 49


@pytest.mark.parametrize("wrong", ["damaged", "no model"])
def test_what_cannot_be_taken_over_leaves_the_old_in_service(
    builds: Builds, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    publish(builds, "3")
    following = holder(builds)
    following.refresh()
    number = publish(builds, "lost" if wrong == "no model" else "4")
    if wrong == "damaged":
        (builds.path(number) / "shard-000.faiss").write_bytes(b"x")
    assert not following.refresh() and not following.refresh()
    assert following.current.build == 1
    assert ("version lost is away" if wrong == "no model" else "is not the file that was built") in following.problem
    assert len(caplog.records) == 1
    publish(builds, "5")
    assert following.refresh() and following.problem == ""


def test_swaps_under_load_fail_nobody_and_mix_nothing(builds: Builds) -> None:
    """Items of an even version lie the other way: an answer of the other version would be the worst, not the best."""
    for version in "34":
        builds.publish(
            IDS, VECTORS * np.float32(1 if version == "3" else -1), model_version=version, gate=GATE, through=0
        )
    following, over = holder(builds), threading.Event()
    following.refresh()
    expected = {
        "3": set(following.current.index.main.search(-ASKED, 5, model_version="4").ids[0]),
        "4": set(following.current.index.main.search(ASKED, 5, model_version="4").ids[0]),
    }

    def asks(_: int) -> int:
        asked = 0
        while not over.is_set() or asked < 50:
            held = following.current
            found = held.search(ASKED, 5, model_version=held.model.removeprefix("model "))
            assert found.model_version == held.model_version and set(found.nearest.ids[0]) == expected[held.model[-1]]
            asked += 1
        return asked

    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(asks, range(3))
        for turn in range(10):
            if turn % 2:
                builds.publish(IDS, -VECTORS, model_version="4", gate=GATE, through=0)
            else:
                builds.roll_back(following.current.build)
            assert following.refresh()
        over.set()
        assert min(answers) >= 50

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lamina.indexes.build import Gate, RecallTooLow, build_index
from lamina.indexes.manifest import Manifest
from lamina.indexes.shard import lists_for
from lamina.indexes.sharded import ShardedIndex
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.retrieval import RetrievalError
from tests.unit.indexes.made import VERSION, items, users

GATE = Gate(users(), k=50, most_probed=0.5)


def test_what_is_built_says_what_it_is_and_finds(tmp_path: Path) -> None:
    ids, vectors = items()
    manifest = build_index(
        tmp_path / "index", ids, vectors, model_version=VERSION, gate=GATE, shards=2, through=7, clock=lambda: 123
    )
    assert manifest == Manifest.read(tmp_path / "index")
    assert (manifest.items, manifest.dimensions, manifest.built_ms, manifest.through) == (3000, 16, 123, 7)
    assert sum(shard.items for shard in manifest.shards) == 3000 and len(manifest.shards) == 2
    assert manifest.recall is not None and (manifest.recall.k, manifest.recall.users) == (50, 100)
    assert 1 < manifest.probes <= 0.5 * manifest.lists
    # The same by hand, on the users that judge.
    judges = users()[1::2]
    index, exact = ShardedIndex.open(tmp_path / "index", name="built"), ExactIndex(ids, vectors, model_version=VERSION)
    found, best = (each.search(judges, 50, model_version=VERSION).ids for each in (index, exact))
    share = np.mean([len(set(a) & set(b)) / 50 for a, b in zip(found, best, strict=True)])
    assert manifest.recall.share == pytest.approx(share) and share >= 0.95


def test_probes_are_as_few_as_do(tmp_path: Path) -> None:
    def probes(least: float) -> int:
        gate = replace(GATE, k=10, least=least, most_probed=1.0)
        return build_index(tmp_path / "index", *items(), model_version=VERSION, gate=gate).probes

    assert probes(0.3) < probes(0.9) < probes(1.0) <= lists_for(3000)


def test_what_finds_too_little_does_not_take_the_place(tmp_path: Path) -> None:
    before = build_index(tmp_path / "index", *items(), model_version="3", gate=GATE)
    with pytest.raises(RecallTooLow, match=r"finds 0\.\d+ with 1 of \d+ lists .* 0.95 are asked for"):
        build_index(tmp_path / "index", *items(), model_version=VERSION, gate=replace(GATE, most_probed=0.001))
    assert Manifest.read(tmp_path / "index") == before
    assert [file.name for file in tmp_path.iterdir()] == ["index"]


def test_a_build_that_ends_midway_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_index(tmp_path / "index", *items(200), model_version="3", gate=GATE)
    monkeypatch.setattr(Manifest, "write", lambda self, folder: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        build_index(tmp_path / "index", *items(200), model_version=VERSION, gate=GATE)
    assert Manifest.read(tmp_path / "index") == before
    ShardedIndex.open(tmp_path / "index", name="before")
    assert [file.name for file in tmp_path.iterdir()] == ["index"]


NONE = np.empty((0, 16), np.float32)


@pytest.mark.parametrize(
    ("ids", "vectors", "gate", "what"),
    [
        ([], NONE, GATE, "no items"),
        (["a"], np.ones((1, 16), np.float32), Gate(users(99)), "99 users: .* by 100 at least"),
        (["a"], np.ones((1, 16), np.float32), Gate(users()[:, :8]), r"\[n, 16\]"),
        (["a", "a"], np.ones((2, 16), np.float32), GATE, "twice"),
    ],
)
def test_what_cannot_be_built(
    tmp_path: Path, ids: list[str], vectors: NDArray[np.float32], gate: Gate, what: str
) -> None:
    with pytest.raises(RetrievalError, match=what):
        build_index(tmp_path / "index", ids, vectors, model_version=VERSION, gate=gate)
    assert not list(tmp_path.iterdir())

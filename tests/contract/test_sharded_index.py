from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lamina.indexes.manifest import Manifest, Shard
from lamina.indexes.shard import FaissShard
from lamina.indexes.sharded import ShardedIndex, shard_of
from lamina.scoring.retrieval import Index, by_id
from tests.contract.retrieval_index import VERSION, IndexContract


def sharded(ids: Sequence[str], vectors: NDArray[np.float32], shards: int) -> ShardedIndex:
    names, found = by_id(ids, vectors)
    where = np.array([shard_of(name, shards) for name in names])
    built = [FaissShard.build(names[where == n], found[where == n]) for n in range(shards)]
    manifest = Manifest(
        model_version=VERSION,
        dimensions=found.shape[1],
        items=len(names),
        built_ms=0,
        lists=1,
        probes=1,
        through=0,
        recall=None,
        shards=tuple(Shard(items=len(shard), files={}) for shard in built),
    )
    return ShardedIndex("tests", manifest, built)


class TestOneShard(IndexContract):
    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        return sharded(ids, vectors, 1)


class TestThreeShards(IndexContract):
    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        return sharded(ids, vectors, 3)

"""Building an index beside the one in service: it is in its place when it is whole, or not at all.

What it finds is compared with an exact search by vectors of users, the ones it will be asked with: vectors of items lie
elsewhere than those of users, and an index that finds the neighbours of items may miss what a user is to get.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from lamina.clock import Clock, system_clock
from lamina.indexes.manifest import Manifest, Recall, Shard, sums
from lamina.indexes.shard import FaissShard
from lamina.indexes.sharded import shard_of
from lamina.scoring.retrieval import RetrievalError, by_id, checked, merged

AMPLE = 0.02
"""Probes are chosen for this much more than the gate asks for, so that other users do not fall under it by chance."""


class RecallTooLow(RetrievalError):
    """An index that finds too little of what an exact search finds: it is not to be served."""


@dataclass(frozen=True)
class Gate:
    """What an index must find of what an exact search finds.

    Args: vectors: float32[users, dimensions], of users, made by the model whose vectors the index holds: half of them
    choose how many lists are looked into, the other half judges. k: items that are asked for. least: share of them
    that has to be found. most_probed: share of the lists that may be looked into, which bounds the time.
    """

    vectors: NDArray[np.float32] = field(repr=False)
    k: int = 500
    least: float = 0.95
    most_probed: float = 0.5
    least_users: int = 100


def build_index(
    folder: Path,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    *,
    model_version: str,
    gate: Gate,
    shards: int = 1,
    through: int = 0,
    clock: Clock = system_clock,
) -> Manifest:
    """Build an index in `folder`, in place of one that is there; returns what it says of itself.

    Args: ids, vectors: of the items, float32[items, dimensions]; model_version: of the model that made them; shards:
    to divide the items into; through: number of the last change that the vectors hold already.
    Raises: RecallTooLow; RetrievalError: as `by_id` says, there are no items, or too few users to judge by. What was in
    `folder` stays.
    """
    from lamina.lake.write import open_lake, replacing

    names, found = by_id(ids, vectors)
    users = checked(gate.vectors, found.shape[1])
    if not len(names):
        raise RetrievalError(f"no items to build {folder} of: is the catalogue empty?")
    if len(users) < max(gate.least_users, 2):
        raise RetrievalError(
            f"vectors of {len(users)} users: what {folder} finds is judged by {gate.least_users} at least"
        )
    where = np.array([shard_of(name, shards) for name in names])
    built = [FaissShard.build(names[where == number], found[where == number]) for number in range(shards)]
    manifest = Manifest(
        model_version=model_version,
        dimensions=found.shape[1],
        items=len(names),
        built_ms=clock(),
        lists=max(shard.lists for shard in built),
        probes=1,
        through=through,
        recall=None,
        shards=tuple(Shard(items=len(shard), files={}) for shard in built),
    )
    probes, recall = _judged(manifest, built, names, found, users, gate)
    with replacing(str(folder.absolute())) as url:
        staging = Path(open_lake(url)[1])
        parts = tuple(
            Shard(items=len(shard), files=sums(staging, shard.save(staging, number)))
            for number, shard in enumerate(built)
        )
        manifest = manifest.model_copy(update={"probes": probes, "recall": recall, "shards": parts})
        manifest.write(staging)
    return manifest


def _judged(
    manifest: Manifest,
    shards: Sequence[FaissShard],
    names: NDArray[np.object_],
    vectors: NDArray[np.float32],
    users: NDArray[np.float32],
    gate: Gate,
) -> tuple[int, Recall]:
    """The fewest probes that find enough for half of the users, and what they find for the other.

    They are doubled from those whose lists hold on average what is asked for. Looked into are these lists alone, though
    a search goes on where they hold too few: that is to be rare.

    Raises: RecallTooLow.
    """
    k = min(gate.k, len(names))
    _, nearest = faiss.knn(users, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    exact = names[nearest]
    chooses, judges = slice(0, None, 2), slice(1, None, 2)
    most = max(1, int(gate.most_probed * manifest.lists)) if manifest.lists > 1 else 1
    probes = min(math.ceil(k * manifest.lists / len(names)), most)
    while True:
        probing = [shard.probing(probes) for shard in shards]
        if _recall(probing, users[chooses], exact[chooses]) >= min(gate.least + AMPLE, 1.0) or probes == most:
            break
        probes = min(2 * probes, most)
    share = _recall(probing, users[judges], exact[judges])
    if share < gate.least:
        raise RecallTooLow(
            f"of the {k} nearest items the index finds {share:.3f} with {probes} of {manifest.lists} lists looked "
            f"into, and {gate.least} are asked for: let it look into more, or see whether the users' vectors are of "
            f"version {manifest.model_version}"
        )
    return probes, Recall(k=k, users=len(users[judges]), share=share, least=gate.least)


def _recall(shards: Sequence[FaissShard], users: NDArray[np.float32], exact: NDArray[np.object_]) -> float:
    """The mean share of `exact`, object[users, k], that the shards find."""
    k = exact.shape[1]
    return share_found(merged([shard.looked_into(users, k) for shard in shards if len(shard)], k).ids, exact)


def share_found(found: Iterable[Iterable[str]], exact: NDArray[np.object_]) -> float:
    """The mean share of `exact`, object[users, k], that is found, user by user.

    >>> share_found([["a", "b"], ["c", "d"]], np.array([["b", "a"], ["c", "x"]], object))
    0.75
    """
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True)]))

"""An index in shards: each is searched beside the others, and an answer does not wait for one that is late.

A process searches with as many threads as it is told, one by default: several workers on one machine would else fight
for its cores, each with as many threads of FAISS as there are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from hashlib import blake2b
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from lamina.indexes.manifest import Manifest, sums
from lamina.indexes.shard import FaissShard
from lamina.monitoring import metrics
from lamina.scoring.retrieval import Nearest, RetrievalError, merged, question

log = logging.getLogger(__name__)


class ShardsLate(RetrievalError):
    """No shard of an index answered in time."""


def shard_of(item: str, shards: int) -> int:
    """The shard that holds `item`: the same in every process and for ever.

    >>> shard_of("video-1", 4), shard_of("video-2", 4)
    (0, 3)
    """
    return int.from_bytes(blake2b(item.encode(), digest_size=8).digest(), "big") % shards


class ShardedIndex:
    """Implements `Index` over shards of FAISS.

    Args: name: of the index, for its metrics; manifest: says what it is; shards: as `shard_of` divides the items;
    deadline_s: what is not there then is left out of the answer, and said so; threads: that search in this process.
    """

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        shards: Sequence[FaissShard],
        *,
        deadline_s: float | None = None,
        threads: int = 1,
    ) -> None:
        self.name, self.manifest = name, manifest
        self._shards, self._deadline_s = tuple(shards), deadline_s
        # Threads of OpenMP are set for the thread that asks.
        self._pool = ThreadPoolExecutor(threads, f"index-{name}", initializer=faiss.omp_set_num_threads, initargs=(1,))

    @classmethod
    def open(cls, folder: Path, *, name: str, deadline_s: float | None = None, threads: int = 1) -> ShardedIndex:
        """The index that was built in `folder`.

        Raises: RetrievalError: there is none, or a file of it is not as its manifest says.
        """
        manifest = Manifest.read(folder)
        for number, shard in enumerate(manifest.shards):
            if wrong := [file for file, sum_ in sums(folder, tuple(shard.files)).items() if sum_ != shard.files[file]]:
                raise RetrievalError(
                    f"{folder / wrong[0]}, of shard {number}, is not the file that was built: build the index again"
                )
        shards = [
            FaissShard.open(folder, number, shard.items, manifest.probes)
            for number, shard in enumerate(manifest.shards)
        ]
        return cls(name, manifest, shards, deadline_s=deadline_s, threads=threads)

    @property
    def model_version(self) -> str:
        """See `Index.model_version`."""
        return self.manifest.model_version

    @property
    def dimensions(self) -> int:
        """See `Index.dimensions`."""
        return self.manifest.dimensions

    def __len__(self) -> int:
        """See `Index.__len__`."""
        return self.manifest.items

    def __contains__(self, item: object) -> bool:
        """See `Index.__contains__`."""
        return isinstance(item, str) and item in self._shards[shard_of(item, len(self._shards))]

    def warm_up(self) -> None:
        """Ask each shard once, however long it takes."""
        asked = np.zeros((1, self.dimensions), np.float32)
        wait([self._pool.submit(shard.search, asked, 1) for shard in self._shards])

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Nearest:
        """See `Index.search`.

        Raises: ShardsLate: none answered in time.
        """
        asked = question(self, vectors, k, model_version=model_version)
        futures = [self._pool.submit(shard.search, asked, k) for shard in self._shards]
        wait(futures, self._deadline_s)
        parts, missing = [], []
        for number, future in enumerate(futures):
            # One that waits still for a thread need not begin.
            if future.cancel() or not future.done():
                outcome = "late"
            elif (error := future.exception()) is not None:
                outcome = "failed"
                log.error("shard %d of index %s failed", number, self.name, exc_info=error)
            else:
                outcome = "answered"
                parts.append(future.result())
            metrics.INDEX_SHARDS.labels(self.name, outcome).inc()
            if outcome != "answered":
                missing.append(number)
        if not parts:
            raise ShardsLate(
                f"none of the {len(futures)} shards of index {self.name!r} answered within "
                f"{self._deadline_s} s: see its metrics, and give it more shards, machines or time"
            )
        found = merged(parts, k)
        return found._replace(missing=tuple(missing))

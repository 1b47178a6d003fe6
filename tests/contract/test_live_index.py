from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lamina.indexes.changes import Change
from lamina.indexes.live import LiveIndex
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.retrieval import Index
from tests.contract.retrieval_index import VERSION, IndexContract


class TestNothingChanged(IndexContract):
    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        return LiveIndex(ExactIndex(ids, vectors, model_version=VERSION))


class TestHalfCameLater(IndexContract):
    """Every second item came after the build, the first with another vector than it was built with; others went."""

    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        ExactIndex(ids, vectors, model_version=VERSION)
        gone = [f"gone-{n}" for n in range(3)]
        old = np.full((len(gone) + 1, vectors.shape[1]), 9, np.float32)
        early = [*ids[1::2], *gone, *(ids[:1] or ["gone-3"])]
        live = LiveIndex(ExactIndex(early, np.concatenate([vectors[1::2], old]), model_version=VERSION))
        live.apply(Change(removed=[*gone, "gone-3", "never-there"]))
        live.apply(Change(VERSION, ids[::2], vectors[::2]))
        return live

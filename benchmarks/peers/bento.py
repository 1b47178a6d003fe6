"""A fraud model behind BentoML; run in the environment of the peers by `bentoml serve benchmarks.peers.bento:Fraud`."""

from __future__ import annotations

import os
from pathlib import Path

import bentoml
import numpy as np

from benchmarks.peers.trees import Trees

FOLDER = "FRAUD_MODEL"


@bentoml.service
class Fraud:
    """Scores encoded rows; BentoML gathers those of several requests into one call."""

    def __init__(self) -> None:
        self._trees = Trees(Path(os.environ[FOLDER]))

    @bentoml.api(batchable=True, max_batch_size=128, max_latency_ms=100)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """float64[n] scores of float[n, inputs]."""
        return self._trees.predict(np.asarray(rows, np.float32))

"""The trees of a trained fraud model by themselves, for peers to serve: the compiled files and nothing of lamina.

Runs in the main environment (MLflow) and in that of the peers (BentoML).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

FILES = {"xgboost": "xgboost.onnx", "lightgbm": "lightgbm.onnx"}


class Trees:
    """Both members of a model without calibration and under-sampling, blended as its spec says."""

    def __init__(self, folder: Path) -> None:
        spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        assert spec["negatives_kept"] == 1.0 and spec.get("calibration") is None, "the blend is the score"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._members = [
            (spec["ensemble"][name], onnxruntime.InferenceSession(str(folder / file), options))
            for name, file in FILES.items()
        ]

    def predict(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64[n] scores of encoded rows float32[n, inputs]."""
        scores = np.zeros(len(matrix))
        for weight, member in self._members:
            scores += weight * member.run(None, {member.get_inputs()[0].name: matrix})[-1][:, 1]
        return scores

"""XGBoost's trees compiled to ONNX: one row in some ten microseconds, where XGBoost itself takes three hundred.

Compiled where a model is trained, and compared there with the original; serving only runs the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from lamina.errors import LaminaError, ModelUnavailable

Float32s = NDArray[np.float32]

TOLERANCE = 1e-5
"""Largest difference in probability between both: trees are added up in float32, in another order."""
INPUT = "features"
PROBE_ROWS = 512


class CompilationError(LaminaError):
    """Compiled trees answer differently from those they were made from."""


def compile_trees(booster: xgboost.Booster) -> bytes:
    """The booster as an ONNX model, compared with it on drawn rows, a tenth of their values missing.

    Raises: CompilationError: when both differ.
    """
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    width = booster.num_features()
    names = booster.feature_names
    booster.feature_names = None  # the converter takes features by place
    try:
        model = convert_xgboost(booster, initial_types=[(INPUT, FloatTensorType([None, width]))])
    finally:
        booster.feature_names = names
    compiled: bytes = model.SerializeToString()
    rows = _probes(booster, width)
    difference = np.abs(CompiledTrees(compiled).predict(rows) - booster.inplace_predict(rows, validate_features=False))
    if not difference.max() <= TOLERANCE:
        raise CompilationError(
            f"compiled trees differ by up to {difference.max():.2g} from XGBoost's: use the versions of onnxmltools "
            "and onnxruntime that the lock names"
        )
    return compiled


def _probes(booster: xgboost.Booster, width: int) -> Float32s:
    """float32[rows, width] drawn around the values at which the trees split, some of them exactly there."""
    splits = booster.trees_to_dataframe().dropna(subset="Split")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PROBE_ROWS, width)).astype(np.float32)
    places = {f"f{i}": i for i in range(width)} | {name: i for i, name in enumerate(booster.feature_names or ())}
    for name, values in splits.groupby("Feature")["Split"]:
        rows[:, places[str(name)]] = rng.choice(values.to_numpy(np.float32), PROBE_ROWS)
    rows[PROBE_ROWS // 2 :] *= rng.normal(1.0, 0.1, size=rows[PROBE_ROWS // 2 :].shape).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


class CompiledTrees:
    """Runs compiled trees on one thread. Safe to use from several."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [self._session.get_outputs()[-1].name]

    @classmethod
    def read(cls, file: Path) -> CompiledTrees:
        """The trees in `file`.

        Raises: ModelUnavailable: when the file is broken.
        """
        try:
            return cls(file.read_bytes())
        except Exception as error:
            # The runtime's own errors share no base but Exception.
            raise ModelUnavailable(
                f"{file} cannot be read ({type(error).__name__}): download the model again"
            ) from None

    def predict(self, matrix: Float32s) -> NDArray[np.float64]:
        """float64[n] probabilities of float32[n, features]."""
        found: NDArray[np.float32] = self._session.run(self._outputs, {INPUT: matrix})[0]
        return found[:, 1].astype(np.float64)

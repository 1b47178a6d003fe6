"""Trees compiled to ONNX: one row in some ten microseconds, where XGBoost itself takes three hundred, LightGBM forty.

Compiled where a model is trained, and compared there with the original; serving only runs the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError
from lamina.scoring.boosters import lightgbm, xgboost
from lamina.scoring.compiled import Float32s
from lamina.scoring.trees import CompiledTrees

TOLERANCE = 1e-5
"""Largest difference in probability between both: trees are added up in float32, in another order."""
INPUT = "features"
PROBE_ROWS = 512
LARGEST, SMALLEST = 1e30, 1e-30


class CompilationError(LaminaError):
    """Compiled trees answer differently from those they were made from."""


def compile_xgboost(booster: xgboost.Booster) -> bytes:
    """The booster as an ONNX model, compared with it on drawn rows, a tenth of their values missing.

    Raises: CompilationError: when both differ.
    """
    from onnxmltools import convert_xgboost

    width, names = booster.num_features(), booster.feature_names
    booster.feature_names = None  # the converter takes features by place
    try:
        table = booster.trees_to_dataframe().dropna(subset="Split")
        model = convert_xgboost(booster, initial_types=_input_types(width))
    finally:
        booster.feature_names = names
    places = table["Feature"].str.removeprefix("f").astype(int)
    rows = _probes(width, places.to_numpy(), table["Split"].to_numpy(np.float64))
    return _checked("XGBoost", model, rows, booster.inplace_predict(rows, validate_features=False))


def compile_lightgbm(booster: lightgbm.Booster) -> bytes:
    """The booster as an ONNX model, compared with it on drawn rows, a tenth of their values missing.

    LightGBM splits at doubles, ONNX at floats. A float lies on the same side of a double as of the largest float that
    is not above it, so that is where the compiled trees split, and every row takes the same way.

    Raises: CompilationError: when both differ.
    """
    from onnxmltools import convert_lightgbm

    width = booster.num_feature()
    model = convert_lightgbm(booster, initial_types=_input_types(width), zipmap=False)
    table = booster.trees_to_dataframe().dropna(subset="threshold")
    thresholds = np.sort(table["threshold"].to_numpy(np.float64))
    for values in (a.floats for node in model.graph.node for a in node.attribute if a.name == "nodes_values"):
        values[:] = _not_above(np.array(values, np.float32), thresholds).tolist()
    places = table["split_feature"].map({name: i for i, name in enumerate(booster.feature_name())})
    rows = _probes(width, places.to_numpy(), table["threshold"].to_numpy(np.float64))
    return _checked("LightGBM", model, rows, np.asarray(booster.predict(rows, num_threads=1)))


def _input_types(width: int) -> list[tuple[str, Any]]:
    from onnxmltools.convert.common.data_types import FloatTensorType

    return [(INPUT, FloatTensorType([None, width]))]


def _not_above(rounded: Float32s, thresholds: NDArray[np.float64]) -> Float32s:
    """Each rounded threshold, one float lower where it was rounded up; `thresholds` are the originals, sorted.

    >>> _not_above(np.array([0.1, 0.3, 0.5], np.float32), np.array([0.1, 0.3, 0.5])).astype(float).round(9).tolist()
    [0.099999994, 0.299999982, 0.5]
    """
    if not len(thresholds):
        return rounded
    below = np.nextafter(rounded, np.float32(-np.inf))
    # Rounded up: an original lies between the next lower float and this one.
    first = np.searchsorted(thresholds, below.astype(np.float64), side="right")
    original = thresholds[np.minimum(first, len(thresholds) - 1)]
    return np.where(original < rounded, below, rounded).astype(np.float32)


def _probes(width: int, places: NDArray[np.int64], splits: NDArray[np.float64]) -> Float32s:
    """float32[rows, width] drawn from the values at which trees split, half of them moved a little, some missing."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PROBE_ROWS, width)).astype(np.float32)
    for place in np.unique(places):
        # Splits between a value and a missing one lie beyond every float.
        own = np.clip(splits[places == place], -LARGEST, LARGEST).astype(np.float32)
        # LightGBM splits off zeros at 1e-35 to either side, which no feature's value is.
        rows[:, place] = rng.choice(np.where(np.abs(own) < SMALLEST, np.float32(0), own), PROBE_ROWS)
    rows[PROBE_ROWS // 2 :] *= rng.normal(1.0, 0.1, size=rows[PROBE_ROWS // 2 :].shape).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def _checked(library: str, model: Any, rows: Float32s, expected: NDArray[Any]) -> bytes:
    compiled: bytes = model.SerializeToString()
    difference = float(np.abs(CompiledTrees(compiled).predict(rows) - expected).max())
    if not difference <= TOLERANCE:
        raise CompilationError(
            f"compiled trees differ by up to {difference:.2g} from {library}'s: use the versions of onnxmltools and "
            "onnxruntime that the lock names"
        )
    return compiled

"""A ranker of the real kind without its training: margins that are sums of inputs and position, as ONNX."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lamina.definitions.fraud import FEATURES
from lamina.scoring.inputs import inputs_of
from lamina.scoring.network import COMPILED_FILE
from lamina.scoring.ranker.heads import ServedHead
from lamina.scoring.ranker.spec import RankerSpec
from lamina.scoring.ranker.weights import HeadWeights
from lamina.scoring.trained_spec import Rows, Split
from tests.small_network import IR, OPSET

DAY = date(2025, 1, 1)
NAMES = ("amount", "txn_count_1h", "device_type")
SPEC = RankerSpec(
    system="fraud",
    logical_date=DAY,
    inputs=inputs_of(FEATURES, {"device_type": ("terminal", "mobile")}, NAMES),
    split=Split(kind="time", train_first=DAY, train_last=DAY, delay_days=7, test_first=DAY, test_last=DAY),
    rows=Rows(train=1, train_positives=1, used=1, test=0, test_positives=0),
    seed=0,
    metrics={},
    git_commit="none",
    libraries={},
    heads=(
        ServedHead(name="watched_s", kind="quantity", unit="s", slope=0.5, intercept=1.0, mean=40.0),
        ServedHead(name="click", slope=2.0, intercept=-1.0, mean=0.1),
        ServedHead(name="like", slope=1.0, intercept=-4.0, mean=0.02),
    ),
    position=2,
)
WEIGHTS = HeadWeights(3, {"watched_s": 0.6, "click": 0.3, "like": 0.1})
MATRIX = np.array([[0.02, 0.01, 0.0], [0.1, -0.2, 0.3], [0.5, 0.25, 1.0], [-0.3, -0.1, 0.0]])
"""What each input, and the position last, adds to each head's margin."""


def write_small_ranker(
    folder: Path,
    *,
    spec: RankerSpec = SPEC,
    weights: HeadWeights | None = WEIGHTS,
    matrix: NDArray[np.float64] = MATRIX,
) -> Path:
    """`folder`, with spec, network and, unless there are none, weights in it."""
    folder.mkdir(parents=True, exist_ok=True)
    spec.write(folder)
    if weights is not None:
        weights.write(folder)
    width, heads = matrix.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "matrix"], ["margins"])],
        "ranker",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("margins", TensorProto.FLOAT, ["n", heads])],
        [numpy_helper.from_array(matrix.astype(np.float32), "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    (folder / COMPILED_FILE).write_bytes(model.SerializeToString())
    return folder

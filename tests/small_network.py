"""A network of the real kind without its training: two weights and a bias through a sigmoid, as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lamina.definitions.activity import FEATURES
from lamina.scoring.inputs import inputs_of
from lamina.scoring.network import COMPILED_FILE, NetworkSpec
from lamina.scoring.protocol import SCORE

NAMES = ("session_page_views", "item_events_1h")
WEIGHTS = (0.5, 0.25)
OPSET, IR = 18, 10


def write_small_network(
    folder: Path,
    *,
    weights: tuple[float, float] = WEIGHTS,
    bias: float = -1.0,
    outputs: tuple[str, ...] = (SCORE,),
    heads: int | None = None,
) -> Path:
    """`folder`, with `spec.json` and `network.onnx` in it.

    Each output after the first has twice the weights and bias of the one before. `heads`: how many numbers it gives,
    when not as many as there are outputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    NetworkSpec(system=FEATURES.system, inputs=inputs_of(FEATURES, {}, NAMES), outputs=outputs).write(folder)
    times = 2.0 ** np.arange(len(outputs) if heads is None else heads)
    matrix = numpy_helper.from_array(np.outer(weights, times).astype(np.float32), "weights")
    shift = numpy_helper.from_array((bias * times).astype(np.float32), "bias")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["rows", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["margin"]),
            helper.make_node("Sigmoid", ["margin"], ["score"]),
        ],
        "network",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", len(NAMES)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", len(times)])],
        [matrix, shift],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    (folder / COMPILED_FILE).write_bytes(model.SerializeToString())
    return folder


def expected(views: float, events: float, *, bias: float = -1.0) -> float:
    """What the network scores."""
    return float(1 / (1 + np.exp(-(WEIGHTS[0] * views + WEIGHTS[1] * events + bias))))

"""From a network in torch to the files of a registered model, where it is trained; serving needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lamina.errors import LaminaError
from lamina.scoring.compiled import Compiled, Float32s
from lamina.scoring.network import COMPILED_FILE, NETWORK_FILE, NetworkSpec

TOLERANCE = 1e-5
"""Largest difference accepted between torch's score and the compiled one's, relative to scores above 1."""
PROBE_ROWS = 256


class ExportError(LaminaError):
    """A network that cannot be exported, or that scores otherwise once it is compiled."""


def export_network(network: Any, spec: NetworkSpec, folder: Path) -> Path:
    """Write what serving loads into `folder`, which is created: the spec, the exported network and its compiled form.

    Args: network: a `torch.nn.Module` from float32[n, inputs], in the order of `spec.inputs`, to n scores, or to
    [n, outputs] in the order of `spec.outputs`; it does its own scaling. It is put into evaluation mode.
    Raises: ExportError: when it does not give one number a row and output for any number of rows, torch cannot export
    it, or the compiled form scores drawn rows otherwise.
    """
    import torch

    exported, model = compile_network(network, len(spec.inputs), len(spec.outputs))
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(exported, folder / NETWORK_FILE)
    (folder / COMPILED_FILE).write_bytes(model)
    spec.write(folder)
    return folder


def compile_network(network: Any, width: int, wanted: int) -> tuple[Any, bytes]:
    """The network as torch exports it, and compiled.

    Args: network: a `torch.nn.Module` from float32[n, width] to `wanted` numbers a row. It is put into evaluation mode.
    Raises: ExportError: as `export_network`.
    """
    import torch

    probes = np.random.default_rng(0).normal(size=(PROBE_ROWS, width)).astype(np.float32)
    network.eval()
    try:
        exported = torch.export.export(
            network, (torch.from_numpy(probes[:2]),), dynamic_shapes=({0: torch.export.Dim("rows")},)
        )
        with torch.inference_mode():
            expected = exported.module()(torch.from_numpy(probes)).numpy()
        if expected.size != PROBE_ROWS * wanted:
            each = "one score" if wanted == 1 else f"{wanted} numbers"
            raise ExportError(f"it gives {expected.shape} for {PROBE_ROWS} rows, and must give {each} a row")
        model = torch.onnx.export(exported, dynamo=True, verbose=False).model_proto.SerializeToString()
    except Exception as error:
        # What torch raises shares no base but Exception.
        raise ExportError(
            f"the network cannot be exported for any number of rows of {width} inputs: {error}"
        ) from error
    _compare(model, probes, expected)
    return exported, model


def _compare(model: bytes, probes: Float32s, expected: Float32s) -> None:
    runner = Compiled(model)
    for rows in (1, len(probes)):
        found = runner.run(probes[:rows]).reshape(rows, -1)
        wanted = expected.reshape(len(probes), -1)[:rows]
        difference = float(np.max(np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))))
        if not difference <= TOLERANCE:
            raise ExportError(
                f"the compiled network differs by up to {difference:.2g} from torch's on {rows} rows: use the versions "
                "of torch, onnxscript and onnxruntime that the lock names, or leave the unusual layer out"
            )

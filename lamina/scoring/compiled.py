"""A model compiled to ONNX, run on one thread: the form in which every model is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ModelUnavailable

Float32s = NDArray[np.float32]


class Compiled:
    """Runs a compiled model of one matrix in. Safe to use from several threads."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [self._session.get_outputs()[-1].name]

    @classmethod
    def read(cls, file: Path) -> Self:
        """The model in `file`.

        Raises: ModelUnavailable: when the file is broken.
        """
        try:
            return cls(file.read_bytes())
        except Exception as error:
            # The runtime's own errors share no base but Exception.
            raise ModelUnavailable(
                f"{file} cannot be read ({type(error).__name__}): download the model again"
            ) from None

    def run(self, matrix: Float32s) -> Float32s:
        """The model's last output for float32[n, features]."""
        found: Float32s = self._session.run(self._outputs, {self._input: matrix})[0]
        return found

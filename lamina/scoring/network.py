"""Networks: `spec.json` and a compiled `network.onnx`, made by `lamina.scoring.export` where a network is trained."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from lamina import definitions
from lamina.errors import BadScore, ModelUnavailable
from lamina.scoring.compiled import Compiled, Float32s
from lamina.scoring.encode import Encoder
from lamina.scoring.inputs import Input, fingerprint, misfit
from lamina.scoring.protocol import SCORE, Outputs, Value
from lamina.scoring.spec import Spec

KIND: Literal["network"] = "network"
NETWORK_FILE = "network.pt2"
COMPILED_FILE = "network.onnx"


class NetworkSpec(Spec):
    """What a network is. `system` names the definitions of its inputs, `outputs` what it gives for a row, in order, the
    score first; the rest is for whoever reads about it.
    """

    remedy = "export the network again"

    format: Literal[1] = 1
    kind: Literal["network"] = KIND
    system: str
    inputs: tuple[Input, ...] = Field(min_length=1)
    # Left out of the file where there is one alone: versions from before there were several read it, too.
    outputs: tuple[str, ...] = Field((SCORE,), min_length=1, exclude_if=lambda outputs: outputs == (SCORE,))
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    git_commit: str = "unknown"
    libraries: dict[str, str] = Field(default_factory=dict)

    @field_validator("outputs")
    @classmethod
    def _no_name_twice(cls, outputs: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(outputs)) < len(outputs):
            raise ValueError(f"names of outputs are used twice: {', '.join(outputs)}")
        return outputs

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The spec in `folder`.

        Raises: ModelUnavailable: as `Spec.read`, or when its features mean something else now.
        """
        spec = super().read(folder)
        if complaint := misfit(spec.inputs, definitions.load(spec.system)):
            raise ModelUnavailable(
                f"the network in {folder} (features {fingerprint(spec.inputs)}) does not fit the definitions of "
                f"{spec.system}: {complaint}. Train it again or bring those definitions back"
            )
        return spec


class NetworkScorer:
    """A loaded network; implements `Scorer`. Its score is the network's first output, whatever number that is."""

    def __init__(self, spec: NetworkSpec, compiled: Compiled) -> None:
        self.spec = spec
        self.system = spec.system
        self.names = tuple(i.name for i in spec.inputs)
        self.outputs = spec.outputs
        self._compiled, self._encoder = compiled, Encoder(spec.inputs)
        self._local = threading.local()

    def predict(self, features: Mapping[str, Value]) -> float:
        """See `Scorer.predict`."""
        row: Float32s | None = getattr(self._local, "row", None)
        if row is None:
            row = self._local.row = np.empty((1, len(self.names)), np.float32)
        self._encoder.fill(row[0], features)
        return float(self.score(row)[0, 0])

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """See `Scorer.predict_batch`."""
        matrix = np.empty((len(rows), len(self.names)), np.float32)
        for out, features in zip(matrix, rows, strict=True):
            self._encoder.fill(out, features)
        return self._named(matrix)

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """See `Scorer.predict_columns`."""
        return self._named(self._encoder.matrix(columns, rows))

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """Nothing: a network's contributions are not computed."""
        return []

    def score(self, matrix: Float32s) -> NDArray[np.float64]:
        """float64[n, outputs] of encoded rows float32[n, inputs].

        Raises: BadScore: when the network gives more or fewer numbers than one a row and output.
        """
        found, wanted = self._compiled.run(matrix), len(self.outputs)
        if found.size != len(matrix) * wanted:
            each = "one" if wanted == 1 else str(wanted)
            raise BadScore(f"a network gave {found.size} numbers for {len(matrix)} rows: it is to give {each} a row")
        return found.reshape(len(matrix), wanted).astype(np.float64)

    def _named(self, matrix: Float32s) -> Outputs:
        if not len(matrix):
            return {name: np.empty(0) for name in self.outputs}
        return dict(zip(self.outputs, self.score(matrix).T, strict=True))


def load(folder: Path) -> NetworkScorer:
    """The network in `folder`, ready to score.

    Raises: ModelUnavailable: when a file is missing or broken, or its features mean something else now.
    """
    return NetworkScorer(NetworkSpec.read(folder), Compiled.read(folder / COMPILED_FILE))

"""Scores of candidates by a ranker: its network once for all rows, each head calibrated, the heads weighed. Hot path.

The score of a row is the mean over heads, each with its share of the weights, of the head's value by the head's mean. A
row that is like the average in everything has the score 1. An example with two heads:

    head        value   mean   value / mean   weight   adds   share of the score
    watched_s   60 s    40 s   1.5            0.75     1.125  0.82
    click       0.1     0.1    1.0            0.25     0.25   0.18
                                                       1.375
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.scoring.compiled import Compiled, Float32s
from lamina.scoring.encode import Encoder
from lamina.scoring.network import COMPILED_FILE
from lamina.scoring.protocol import SCORE, Outputs, Value
from lamina.scoring.ranker.heads import Float64s
from lamina.scoring.ranker.spec import RankerSpec
from lamina.scoring.ranker.weights import WEIGHTS_FILE, HeadWeights, read_weights


class RankerScorer:
    """A loaded ranker; implements `TrainedScorer`. Safe to use from several threads: it holds nothing that changes.

    Args: compiled: from float32[n, inputs + 1], the position last, to margins [n, heads]; output: what the score is
    called. Raises: BadWeights: they are of other heads.
    """

    calibrated = False
    """Its heads are; the score weighs them, and is no probability."""

    def __init__(self, spec: RankerSpec, weights: HeadWeights, compiled: Compiled, output: str = SCORE) -> None:
        self.spec, self.weights = spec, weights
        self.system, self.names = spec.system, spec.names
        self.heads = tuple(head.name for head in spec.heads)
        self.outputs = (output, *self.heads)
        self._compiled, self._encoder = compiled, Encoder(spec.inputs)
        self._factors = [share / head.mean for share, head in zip(weights.of(self.heads), spec.heads, strict=True)]

    def predict(self, features: Mapping[str, Value]) -> float:
        """See `Scorer.predict`."""
        return float(self.predict_batch([features])[self.outputs[0]][0])

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """See `Scorer.predict_batch`."""
        matrix = self._empty(len(rows))
        for out, features in zip(matrix, rows, strict=True):
            self._encoder.fill(out, features)
        return self._weighed(matrix)

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """See `Scorer.predict_columns`."""
        matrix = self._empty(rows)
        matrix[:, :-1] = self._encoder.matrix(columns, rows)
        return self._weighed(matrix)

    def predict_at(self, columns: Mapping[str, NDArray[np.generic]], position: NDArray[np.int64]) -> Outputs:
        """Every output of rows as they were shown, at int64[n] positions: what their truth can be compared with."""
        matrix = self._empty(len(position))
        matrix[:, :-1] = self._encoder.matrix(columns, len(position))
        matrix[:, -1] = position
        return self._weighed(matrix)

    def shares(self, outputs: Outputs) -> dict[str, Float64s]:
        """float64[n] by head: which share of each row's score is the head's; of a row they add up to 1."""
        parts = {name: outputs[name] * factor for name, factor in zip(self.heads, self._factors, strict=True)}
        return {name: part / outputs[self.outputs[0]] for name, part in parts.items()}

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """Nothing: a network's contributions are not computed. What the heads gave is said by `shares`."""
        return []

    def _empty(self, rows: int) -> Float32s:
        return np.full((rows, len(self.names) + 1), self.spec.position, np.float32)

    def _weighed(self, matrix: Float32s) -> Outputs:
        if not len(matrix):
            return {name: np.empty(0) for name in self.outputs}
        margins = self._compiled.run(matrix).astype(np.float64)
        score = np.zeros(len(matrix))
        found: dict[str, Float64s] = {self.outputs[0]: score}
        for place, (head, factor) in enumerate(zip(self.spec.heads, self._factors, strict=True)):
            found[head.name] = head.value(margins[:, place])
            score += factor * found[head.name]
        return found


def load(folder: Path, features: FeatureSet, output: str = SCORE) -> RankerScorer:
    """The ranker in `folder`, ready to score what `features` define.

    Raises: ModelUnavailable: when a file is missing or broken, the definitions have changed since, the weights are of
    other heads (BadWeights), or the network is not of these inputs and heads.
    """
    spec = RankerSpec.read(folder)
    spec.check_against(features)
    if output in {head.name for head in spec.heads}:
        raise ModelUnavailable(f"{folder}: the score is called {output!r}, as a head is: name the head otherwise")
    weights, compiled = read_weights(folder / WEIGHTS_FILE), Compiled.read(folder / COMPILED_FILE)
    _check(folder, spec, compiled)
    return RankerScorer(spec, weights, compiled, output)


def _check(folder: Path, spec: RankerSpec, compiled: Compiled) -> None:
    again = "train the ranker anew"
    try:
        found = compiled.run(np.zeros((1, len(spec.inputs) + 1), np.float32))
    except Exception as error:
        # The runtime's own errors share no base but Exception.
        raise ModelUnavailable(
            f"{folder}: the network does not take {len(spec.inputs)} inputs and a position ({type(error).__name__}): "
            f"{again}"
        ) from None
    if found.shape != (1, len(spec.heads)):
        raise ModelUnavailable(
            f"{folder}: the network gives {found.shape[-1]} numbers a row, the spec lists {len(spec.heads)} heads: "
            f"{again}"
        )

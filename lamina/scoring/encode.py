"""Features to the numbers the trees take: in training a column at a time, in serving a row at a time, by one rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.inputs import Input
from lamina.scoring.protocol import Value

Float32s = NDArray[np.float32]


class Encoder:
    """The inputs of one model, looked up once.

    >>> text = Input(name="kind", meaning="", categories=("web", "shop"))
    >>> out = np.empty(2, np.float32)
    >>> Encoder((Input(name="n", meaning="", default=0.0), text)).fill(out, {"n": None, "kind": "shop"})
    >>> out.tolist()
    [0.0, 1.0]
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._numbers = [
            (i, part.name, np.nan if part.default is None else part.default)
            for i, part in enumerate(inputs)
            if part.categories is None
        ]
        self._texts = [
            (
                i,
                part.name,
                {text: float(code) for code, text in enumerate(part.categories)},
                float(len(part.categories)),
            )
            for i, part in enumerate(inputs)
            if part.categories is not None
        ]
        self._width = len(inputs)

    def fill(self, out: Float32s, features: Mapping[str, Value]) -> None:
        """Write one row into `out`, float32[inputs]. Hot path."""
        get = features.get
        for i, name, default in self._numbers:
            value = get(name)
            out[i] = default if value is None else value
        for i, name, codes, unknown in self._texts:
            out[i] = codes.get(get(name), unknown)  # type: ignore[arg-type]

    def matrix(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Float32s:
        """float32[rows, inputs] from one array per input: float64 with NaN for a missing number, objects for texts."""
        out = np.empty((rows, self._width), np.float32)
        for i, name, default in self._numbers:
            values = np.asarray(columns[name], np.float64)
            out[:, i] = np.where(np.isnan(values), default, values)
        for i, name, codes, unknown in self._texts:
            out[:, i] = [codes.get(value, unknown) for value in columns[name]]
        return out


def categories_of(values: Iterable[Value]) -> tuple[str, ...]:
    """The texts among `values`, most frequent first, equals in alphabetical order.

    >>> categories_of(["b", "a", "c", "c", None])
    ('c', 'a', 'b')
    """
    texts, counts = np.unique(np.array([v for v in values if isinstance(v, str)], dtype=object), return_counts=True)
    return tuple(str(text) for _, text in sorted(zip((-counts).tolist(), texts.tolist(), strict=True)))


def as_input(column: Any) -> NDArray[Any]:
    """A column of a pyarrow table as a model's input: numbers float64, NaN where missing; texts as objects, None."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_null(column.type):
        return np.array(column.to_pylist(), dtype=object)
    values: NDArray[Any] = column.cast(pa.int64()).to_numpy() if pa.types.is_boolean(column.type) else column.to_numpy()
    return values.astype(np.float64)

"""What a reader of files hands on: rows in bounded batches, and the lines that are none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Unreadable:
    """Text that is no row: its number among the rows of the file, the line it starts on, why, and itself."""

    number: int
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Rows of the file, and how many of its rows they are and replace.

    `numbers` int64[rows] counts the file's rows from 1, unreadable ones included (a CSV's header is not one); `lines`
    int64[rows] are the lines they start on. `rows` is counted where the file is cut, not where it is parsed.
    """

    table: pa.Table
    numbers: NDArray[np.int64]
    lines: NDArray[np.int64]
    rows: int
    unreadable: list[Unreadable] = field(default_factory=list)

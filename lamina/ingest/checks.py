"""What importing says about rows: rules that rows break, and what was decided for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.ids import NOTHING

Mask = NDArray[np.bool_]
_NOTHING = pa.array(sorted(NOTHING), pa.string())


@dataclass(frozen=True)
class Check:
    """A rule and the rows that break it: bool[rows]. Among `Converted.notes`, a choice and the rows it was made for."""

    field: str
    reason: str
    broken: Mask


def mask_of(condition: Any) -> Mask:
    """A boolean arrow column as bool[rows]; null counts as false."""
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def is_text(column: pa.Array) -> bool:
    """Whether the column holds text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def something(text: pa.Array) -> pa.Array:
    """Texts without blanks around them; null where they say that there is nothing, by the rule of ids: `NULL`, `NaN`.

    >>> something(pa.array([" 12 ", "NULL", "", None])).to_pylist()
    ['12', None, None, None]
    """
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.is_in(pc.utf8_lower(trimmed), _NOTHING), None, trimmed)

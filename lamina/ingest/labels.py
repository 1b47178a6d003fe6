"""Which rows are fraud: truth values, numbers and texts, as they are or by the mapping's `values`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lamina.contracts.ids import MISSING
from lamina.ingest.checks import Check, Mask, mask_of
from lamina.ingest.fields import LabelField
from lamina.lake.ids import ids_of

_PLAIN = dict.fromkeys(("1", "true", "yes", "y", "t"), True) | dict.fromkeys(("0", "false", "no", "n", "f"), False)
_UNKNOWN = "is neither true nor false: say what it means in the label's values"


def fraud_of(column: pa.Array, field: LabelField, checks: list[Check]) -> Mask:
    """Which rows are fraud. An empty label is none; what means neither fails a check.

    A label is read as ids are, each by itself: `1`, `1.0`, 1 and 1.0 are one value.
    """
    said = ids_of(column.cast(pa.string()) if pa.types.is_boolean(column.type) else column)
    text = pc.utf8_lower(said.texts)
    known = field.values or _PLAIN
    is_fraud = mask_of(pc.is_in(text, pa.array([key for key, fraud in known.items() if fraud], pa.string())))
    is_none = mask_of(pc.is_in(text, pa.array([key for key, fraud in known.items() if not fraud], pa.string())))
    checks.append(Check("is_fraud", _UNKNOWN, ~is_fraud & ~is_none & (said.reasons != MISSING)))
    return is_fraud

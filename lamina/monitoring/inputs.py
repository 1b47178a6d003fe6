"""What answers were made of, for slices of them: features as they were used, and further columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table
from lamina.monitoring.rows import Rows, answer_ids

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = frozenset((float, int, bool, type(None)))
BATCH = 20_000
"""Answers that are taken apart at a time."""


def columns_of(problem: Problem) -> tuple[str, ...]:
    """Columns of joined rows that `as_table` needs: the payload only where more than features is asked for."""
    payload = ("payload",) if problem.columns or problem.beside else ()
    return ("request_id", "event_id", "shadow", "features", *payload)


def as_table(problem: Problem, rows: Rows, given: pa.Table) -> Table:
    """Answers, none of them a shadow's, as slices look at them: features as they were used, further columns from
    features or payload, None where neither has them.

    Args: given: joined rows with `columns_of`, those of `rows` among them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    place = {answer: i for i, answer in enumerate(rows.answer)}
    inputs = {name: np.full(len(rows), None, object) for name in problem.inputs}
    further = {name: np.full(len(rows), None, object) for name in (*problem.columns, *problem.beside)}
    requests = sorted({answer.partition("\0")[0] for answer in rows.answer})
    wanted = pc.is_in(given.column("request_id"), value_set=pa.array(requests, pa.string()))
    # A shadow has no features of its own: the answer to the same event has them.
    for batch in given.filter(pc.and_(wanted, pc.invert(given.column("shadow")))).to_batches(max_chunksize=BATCH):
        texts = batch.to_pydict()
        keys = answer_ids(texts["request_id"], texts["event_id"])
        there = [(n, place[key]) for n, key in enumerate(keys) if key in place]
        at = [own for _, own in there]
        features = [orjson.loads(texts["features"][n]) for n, _ in there]
        beside = [orjson.loads(texts["payload"][n]) for n, _ in there] if further else []
        for name, values in inputs.items():
            values[at] = [each.get(name) for each in features]
        for name, values in further.items():
            values[at] = [own.get(name, more.get(name)) for own, more in zip(features, beside, strict=True)]
    return Table(
        id=rows.answer,
        inputs={name: _column(values) for name, values in inputs.items()},
        positive=rows.positive,
        unit=rows.unit,
        day=rows.day,
        columns={name: _column(values) for name, values in further.items()},
        weight=rows.weight,
        waited=np.full(len(rows), np.nan),
    )


def _column(values: NDArray[np.object_]) -> NDArray[Any]:
    """Numbers as float64, NaN where missing; anything else as objects."""
    return values.astype(np.float64) if NUMBERS.issuperset(map(type, values)) else values

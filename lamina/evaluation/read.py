"""The training set of a day from the lake: its rows with what was known of them by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS, midnight_ms, next_day
from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.evaluation.metrics import Texts
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table, TrainingSetError
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.scoring.encode import as_input


def read_table(lake: str, problem: Problem, day: date, features: Sequence[str]) -> Table:
    """The training set that was made for `day`. A row whose label arrived after `day` was over is not positive.

    Raises: TrainingSetError: when there is none, it is empty or lacks columns.
    """
    import pyarrow.dataset as ds

    url = f"{layout.training(lake, problem.system, day)}/features"
    again = f"run python -m jobs.spark.training_set --system {problem.system} --date {day}"
    fs, path = open_lake(url)
    if not fs.exists(path):
        raise TrainingSetError(f"{url} is not there: {again} first")
    wanted = list(dict.fromkeys((*problem.own_columns, *features)))
    found = ds.dataset(path, format="parquet", filesystem=fs)
    if lacking := sorted(set(wanted) - set(found.schema.names)):
        raise TrainingSetError(f"{url} lacks the columns {', '.join(lacking)}: {again} with these definitions")
    table = found.to_table(columns=wanted)
    if not table.num_rows:
        raise TrainingSetError(f"{url} has no rows: check the days given to jobs.spark.extract_data, then {again}")
    request = problem.features.request
    # Spark writes in no particular order, and training must not depend on it.
    table = table.sort_by([(request.timestamp, "ascending"), (request.id, "ascending")])
    columns = {name: as_input(table.column(name)) for name in wanted}
    arrived = columns[LABEL_TIMESTAMP]
    known_by = arrived < midnight_ms(next_day(day))  # a missing time is NaN, and not before anything
    ids, timestamp = columns[request.id], columns[request.timestamp].astype(np.int64)
    return Table(
        id=ids,
        inputs={name: columns[name] for name in features},
        positive=columns[problem.label].astype(bool) & known_by,
        unit=columns[problem.unit],
        day=timestamp // DAY_MS,
        columns={
            **{name: columns[name] for name in problem.columns},
            **_beside(f"{layout.training(lake, problem.system, day)}/rows", request.id, ids, problem.beside),
        },
        weight=problem.weights(lake, ids, timestamp, known_by),
        waited=np.where(known_by, (arrived - timestamp) / DAY_MS, np.nan),
    )


def _beside(url: str, key: str, ids: Texts, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of the labelled rows that the features were made for, in the order of `ids`; None where they are not."""
    import pyarrow.dataset as ds

    fs, path = open_lake(url)
    rows = ds.dataset(path, format="parquet", filesystem=fs) if names and fs.exists(path) else None
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        values: dict[str, Any] = {}
        if rows is not None and {key, name} <= set(rows.schema.names):
            table = rows.to_table(columns=[key, name])
            values = dict(zip(*(table.column(each).to_pylist() for each in table.column_names), strict=True))
        found[name] = np.array([values.get(i) for i in ids], dtype=object)
    return found

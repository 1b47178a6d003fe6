"""Evidently's drift report as a page: for people who know it. What decides about alerts is ours.

Its rows are drawn from the sketches, column by column, at even ranks: the same sketches give the same rows. What
columns have to do with each other is not in them, and not in the report.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.monitoring.drift.distributions import Distribution, Numbers

ROWS = 1_000


def drawn(column: Distribution, rows: int) -> NDArray[Any]:
    """So many values at even ranks, missing ones in their share."""
    total = column.count + column.missing
    missing = round(rows * column.missing / total) if total else rows
    ranks = (np.arange(rows - missing) + 0.5) / max(rows - missing, 1)
    if isinstance(column, Numbers):
        return np.concatenate([column.quantiles(ranks) if len(ranks) else np.empty(0), np.full(missing, np.nan)])
    names = [*sorted(column.counts), "others"]
    reached = np.cumsum([*(column.counts[name] for name in names[:-1]), column.others]) / max(column.count, 1)
    places = np.minimum(np.searchsorted(reached, ranks), len(names) - 1)
    return np.array([*(names[place] for place in places), *[None] * missing], object)


def write_page(file: Path, reference: Mapping[str, Distribution], current: Mapping[str, Distribution]) -> None:
    """Write the page of columns that both have values of into `file`."""
    # It may neither ask the network nor warn of what only its authors can change.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        names = [n for n in reference if n in current and reference[n].count and current[n].count]
        numbers = [name for name in names if isinstance(reference[name], Numbers)]
        definition = DataDefinition(
            numerical_columns=numbers, categorical_columns=[name for name in names if name not in numbers]
        )
        both = [
            Dataset.from_pandas(
                pd.DataFrame({name: drawn(side[name], ROWS) for name in names}), data_definition=definition
            )
            for side in (current, reference)
        ]
        Report([DataDriftPreset()]).run(both[0], both[1]).save_html(str(file))

"""Drift of many rows: 10 million rows of 50 features against as many of a reference, on sketches.

`seconds`, of processor time, are those of sketching both and of comparing them; making the rows, 100,000 at a time, is
not counted. `peak_mib` is the most memory that the process held, the rows of a batch among it. `ks_off` is the largest
difference from scipy's Kolmogorov-Smirnov statistic on all rows of a feature, `ks_error` what the sketches state it may
be. `evidently_rows` is how many rows, reference and current as many each, Evidently's drift report takes in the same
time: measured on growing numbers of rows of the same features, the last two of them joined by a line. `rows_ratio` is
ours by Evidently's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy import stats

from benchmarks.report import emit
from lamina.contracts.watching import USUAL
from lamina.monitoring.drift.columns import compare_column
from lamina.monitoring.drift.decide import decide
from lamina.monitoring.drift.distributions import Floats
from lamina.monitoring.drift.sketches import Sketch, distributions, sketch_columns

ROWS, FEATURES, BATCH = 10_000_000, 50, 100_000
CHECKED = 3
"""Features that scipy looks at, too, on all their rows."""
SHIFT = 0.4
"""Of every tenth feature, in deviations: a KS of 0.16."""
FIRST_SHARE = 100
"""Of the rows, the part that Evidently is tried with first."""
BARS = {"peak_mib": "<= 1024", "ks_beyond_error": "== 0", "drifted": "== 5"}


def column(feature: int, side: int, batch: int, rows: int) -> Floats:
    """A feature's values of a batch: normal, long-tailed or whole numbers by turns; `side` 0 is the reference."""
    rng = np.random.default_rng([feature, side, batch])
    shift = SHIFT if side and feature % 10 == 0 else 0.0
    values = rng.standard_normal(rows) + shift
    if feature % 3 == 1:
        return np.exp(values)
    return np.floor(values * 4) if feature % 3 == 2 else values


def batches(side: int, rows: int) -> Iterator[dict[str, Floats]]:
    """The rows of one side, a batch at a time."""
    for batch in range(-(-rows // BATCH)):
        size = min(BATCH, rows - batch * BATCH)
        yield {f"f{feature:02d}": column(feature, side, batch, size) for feature in range(FEATURES)}


def ours(rows: int) -> dict[str, float]:
    """Sketch and compare; figures of this process."""
    seconds, sides = 0.0, []
    for side in (0, 1):
        sketches: dict[str, Sketch] = {}
        for columns in batches(side, rows):
            begun = time.process_time()
            sketch_columns(columns, sketches)
            seconds += time.process_time() - begun
        sides.append(sketches)
    begun = time.process_time()
    reference, current = (distributions(each) for each in sides)
    found = [f for name in reference for f in compare_column(name, reference[name], current[name], USUAL)]
    decided = decide(found, USUAL.significance)
    seconds += time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    off, beyond, error = 0.0, 0, 0.0
    for feature in range(CHECKED):
        exact = stats.ks_2samp(*(_whole(feature, side, rows) for side in (0, 1)), method="asymp").statistic
        ks = next(f for f in decided if f.subject == f"f{feature:02d}" and f.statistic == "ks")
        distance = abs(float(ks.effect or 0.0) - float(exact))
        off, error, beyond = max(off, distance), max(error, ks.error), beyond + (distance > ks.error)
    return {
        "seconds": seconds,
        "peak_mib": peak,
        "drifted": sum(f.severity is not None for f in decided),
        "ks_off": off,
        "ks_error": error,
        "ks_beyond_error": beyond,
    }


def _whole(feature: int, side: int, rows: int) -> Floats:
    sizes = [min(BATCH, rows - at) for at in range(0, rows, BATCH)]
    return np.concatenate([column(feature, side, batch, size) for batch, size in enumerate(sizes)])


def evidently(rows: int) -> dict[str, float]:
    """Evidently's drift report of as many rows of reference and current; figures of this process."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [f"f{feature:02d}" for feature in range(FEATURES)]
    frames = [
        pd.DataFrame({name: _whole(feature, side, rows) for feature, name in enumerate(names)}) for side in (0, 1)
    ]
    begun = time.process_time()
    definition = DataDefinition(numerical_columns=names)
    reference, current = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    Report([DataDriftPreset()]).run(current, reference).dict()
    seconds = time.process_time() - begun
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def apart(whose: str, rows: int) -> dict[str, float]:
    """The figures of a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.drift_scale", "--only", whose, "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_within(seconds: float, most: int) -> tuple[float, dict[str, float]]:
    """How many rows a side Evidently takes in `seconds`; and the figures of the last number that was tried."""
    rows, before = most // FIRST_SHARE, (0, 0.0)
    while True:
        found = apart("evidently", rows)
        if found["seconds"] >= seconds or rows >= most:
            share = (seconds - before[1]) / (found["seconds"] - before[1])
            return before[0] + share * (rows - before[0]), found
        before, rows = (rows, found["seconds"]), rows * 2


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rows.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    only: Annotated[str, typer.Option(help="Of one side alone, as a line of JSON.")] = "",
    rows: Annotated[int, typer.Option(help="Rows of each side.")] = 0,
) -> None:
    """Measure and print; the exit status is 1 when a bar was missed."""
    rows = rows or (200_000 if quick else ROWS)
    if only:
        print(json.dumps({"ours": ours, "evidently": evidently}[only](rows)))
        return
    found = apart("ours", rows)
    theirs, last = rows_within(found["seconds"], rows)
    figures: dict[str, Any] = {
        "rows": rows,
        "features": FEATURES,
        "seconds": round(found["seconds"], 1),
        "million_values_a_second": round(2 * rows * FEATURES / found["seconds"] / 1e6, 1),
        "peak_mib": round(found["peak_mib"]),
        "drifted": int(found["drifted"]),
        "ks_off": round(found["ks_off"], 6),
        "ks_error": round(found["ks_error"], 6),
        "ks_beyond_error": int(found["ks_beyond_error"]),
        "evidently_rows": round(theirs),
        "evidently_peak_mib": round(last["peak_mib"]),
        "rows_ratio": round(rows / theirs, 1),
    }
    if not emit("drift_scale", figures, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""Point-in-time features of the fraud handbook's 1,754,155 transactions by Spark on two cores, held to the authors'.

`spark_s` runs from the archived events in the lake to parquet with the features that the handbook publishes, for every
row. `cpu_s` is the processor time of Spark and its Python workers meanwhile: beside other work on the
machine it still tells what the job costs. A difference counts as a tie where the customer has another transaction in
the same second, whose order the authors left to chance; all others are mismatches. `all_s` are all features of the
system, `tiles_s` the batch tiles.

`duckdb_s` are the same features by `lamina.features`, `handwritten_s` by a query written by hand in DuckDB, `polars_s`
in Polars: parquet to parquet, a process each, the better of two runs that take turns. The long form also grows the
events from 1 M to 20 M, as copies of the handbook's with users and merchants of their own: `duckdb_20m_s`,
`duckdb_growth` (20 M by 1 M) and so on for the others. Polars is the fastest: it looks for no event that came twice,
and takes a delayed window as the difference of two, which rounds; ours does neither.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer

from benchmarks import batch_queries
from benchmarks.handbook_features import HANDBOOK, compare
from benchmarks.progress import process_cpu_s
from benchmarks.report import emit
from lamina.contracts.features import FeatureSet
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.definitions.fraud import FEATURES
from lamina.ingest.mapping import load_mapping
from lamina.ingest.transactions import import_transactions
from lamina.lake import layout
from lamina.semantics.plan import make_plan
from lamina.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LAST_DAY = date(2018, 9, 30)
QUICK_UNTIL = date(2018, 4, 22)
CORES = 2
ROWS = 1_754_155
RUNS = 2
BARS = {
    "spark_s": "<= 90",
    "mismatches": "== 0",
    "duckdb_over_handwritten": "<= 1.2",
    "duckdb_over_polars": "<= 1.2",
    "duckdb_mismatches": "== 0",
}
BESIDE = ("duckdb", "handwritten", "polars")
GROWTH_M = (1, 5, 20)


def main(
    quick: Annotated[bool, typer.Option(help="Three weeks of the data instead of six months.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Import, compute, compare, and print the figures beside their bars."""
    data = load_settings().data / "fraud_handbook"
    if not data.exists():
        raise typer.BadParameter(f"{data} is absent: set LAMINA_DATA to the folder that holds fraud_handbook")
    from jobs.spark.session import make_session

    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder:
        lake = f"{folder}/lake"
        until = QUICK_UNTIL if quick else None
        import_transactions(data / "transactions.parquet", load_mapping("handbook"), lake, until=until)
        # The short form ends before the optimising compiler has earned what it costs, as jobs of the DAGs do.
        java = {"spark.driver.extraJavaOptions": load_settings().spark_driver_java} if quick else {}
        spark = make_session("benchmark", conf={"spark.master": f"local[{CORES}]", **java})
        try:
            figures = measure(spark, lake, folder, data, (until or LAST_DAY) - timedelta(days=1 if quick else 0), quick)
        finally:
            spark.stop()
        figures.update(beside(lake, Path(folder), data, 1 if quick else RUNS))
        if not quick:
            figures.update(grown(lake, Path(folder)))
    if not emit("batch_features", figures, BARS, json_file):
        raise typer.Exit(1)


def measure(
    spark: SparkSession, lake: str, folder: str, data: Path, last: date, quick: bool
) -> dict[str, float | int | str]:
    """Run the jobs on the lake; the figures."""
    from jobs.spark import batch_features

    figures: dict[str, float | int | str] = {"cores": CORES}
    began, cpu = time.monotonic(), process_cpu_s([os.getpid()])
    target = f"{folder}/handbook"
    figures["rows"] = compute(spark, lake, HANDBOOK, target)
    figures["spark_s"] = round(time.monotonic() - began, 1)
    figures["cpu_s"] = round(process_cpu_s([os.getpid()]) - cpu, 1)
    figures["features"] = len(HANDBOOK.names)
    agreement = compare(pd.read_parquet(target), data)
    figures.update(dataclasses.asdict(agreement))
    if not quick:
        began = time.monotonic()
        compute(spark, lake, FEATURES, f"{folder}/all")
        figures["all_s"], figures["all_features"] = round(time.monotonic() - began, 1), len(FEATURES.names)
        began = time.monotonic()
        built = batch_features.build(spark, lake, make_plan(FEATURES), last)
        figures["tiles_s"], figures["tiles"] = round(time.monotonic() - began, 1), sum(built["tiles"].values())
    return figures


def beside(lake: str, folder: Path, data: Path, runs: int) -> dict[str, float | int | str]:
    """Our DuckDB engine and the queries by hand over the whole lake: seconds, ratios, agreement with the authors."""
    best: dict[str, float] = {}
    for _ in range(runs):
        for engine in BESIDE:
            found = batch_queries.measure(engine, *_paths(lake), folder / f"{engine}.parquet")
            best[engine] = min(found["seconds"], best.get(engine, found["seconds"]))
    figures: dict[str, float | int | str] = {f"{engine}_s": seconds for engine, seconds in best.items()}
    figures["duckdb_over_handwritten"] = round(best["duckdb"] / best["handwritten"], 2)
    figures["duckdb_over_polars"] = round(best["duckdb"] / best["polars"], 2)
    for engine in BESIDE:
        figures[f"{engine}_mismatches"] = compare(pd.read_parquet(folder / f"{engine}.parquet"), data).mismatches
    return figures


def _paths(lake: str) -> tuple[str, str]:
    return f"{layout.topic(lake, TRANSACTIONS)}/*/*.parquet", f"{layout.topic(lake, FRAUD_LABELS)}/*/*.parquet"


def grown(lake: str, folder: Path) -> dict[str, float | int | str]:
    """The same over 1 to 20 million events: seconds, peak memory, and how many times the first the last takes."""
    import duckdb

    figures: dict[str, float | int | str] = {}
    for millions in GROWTH_M:
        files = [str(folder / f"{name}-{millions}m.parquet") for name in ("transactions", "labels")]
        wanted = millions * 1_000_000
        copies = f"range({-(-wanted // ROWS)}) AS copies(copy)"
        keys = ", ".join(f"{key} || '-' || copy AS {key}" for key in ("transaction_id", "user_id", "merchant_id"))
        with duckdb.connect(config={"threads": CORES}) as con:
            for path, file in zip(_paths(lake), files, strict=True):
                # Ids are numbered in the order of time: the last copy ends early, and is as dense as the others.
                con.execute(
                    f"COPY (SELECT * REPLACE ({keys}) FROM '{path}', {copies} "
                    f"WHERE copy * {ROWS} + CAST(transaction_id AS BIGINT) < {wanted}) TO '{file}'"
                )
        for engine in BESIDE:
            found = batch_queries.measure(engine, files[0], files[1], folder / "grown.parquet")
            figures[f"{engine}_{millions}m_s"] = found["seconds"]
            figures[f"{engine}_{millions}m_peak_mib"] = found["peak_mib"]
        for file in files:
            Path(file).unlink()
    first, last = GROWTH_M[0], GROWTH_M[-1]
    for engine in BESIDE:
        figures[f"{engine}_growth"] = round(
            float(figures[f"{engine}_{last}m_s"]) / float(figures[f"{engine}_{first}m_s"]), 1
        )
    return figures


def compute(spark: SparkSession, lake: str, features: FeatureSet, target: str) -> int:
    """Write the features of every transaction in the lake to `target`; returns how many rows."""
    from jobs.spark.lake import ARRIVAL, archived, written_rows
    from jobs.spark.training_set import archived_features

    rows = archived(spark, lake, TRANSACTIONS).drop(*ARRIVAL)
    archived_features(spark, lake, features, rows, until=LAST_DAY + timedelta(days=30)).write.parquet(target)
    return written_rows(target)


if __name__ == "__main__":
    typer.run(main)

"""The handbook's features as one would write them by hand in DuckDB and in Polars, beside the compiled definitions.

`python -m benchmarks.batch_queries ENGINE TRANSACTIONS LABELS TARGET` computes them from parquet files to a parquet
file and prints seconds, processor seconds and peak memory as JSON: a process of its own for each engine, so that none
profits from another. By hand nothing is done that nobody would write: no duplicates are looked for.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.handbook_features import HANDBOOK
from benchmarks.report import ROOT

DAYS = (1, 7, 30)
DELAY_D = 7
DAY_S = 86_400
COLUMNS = ("transaction_id", "user_id", "merchant_id", "amount", "timestamp")


def compiled(transactions: str, labels: str, target: str) -> None:
    """The definitions, by `lamina.features`; the transactions are rows and events alike, and read once as by hand."""
    import duckdb

    from lamina.features import write_training_set

    with duckdb.connect() as con:
        rows = con.sql(f"SELECT {', '.join(COLUMNS)} FROM '{transactions}'").to_arrow_table()
    write_training_set(rows, HANDBOOK, target, events={"transactions": rows, "fraud_labels": labels})


def duckdb_by_hand(transactions: str, labels: str, target: str) -> None:
    """One query with window frames."""
    import duckdb

    features, frames, risks = [], [], []
    for d in DAYS:
        features += [
            f"count(*) OVER u{d} AS user_txn_count_{d}d",
            f"avg(amount) OVER u{d} AS user_avg_amount_{d}d",
            f"count(*) OVER m{d} AS merchant_txn_count_{d}d",
            f"count(*) FILTER (is_fraud) OVER m{d} AS merchant_fraud_count_{d}d",
        ]
        past = f"BETWEEN {(d + DELAY_D) * DAY_S - 1} PRECEDING AND {DELAY_D * DAY_S} PRECEDING"
        frames += [
            f"u{d} AS (PARTITION BY user_id ORDER BY s RANGE BETWEEN {d * DAY_S - 1} PRECEDING AND CURRENT ROW)",
            f"m{d} AS (PARTITION BY merchant_id ORDER BY s RANGE {past})",
        ]
        quotient = f"merchant_fraud_count_{d}d / nullif(merchant_txn_count_{d}d, 0)"
        risks.append(f"coalesce({quotient}, 0.0) AS merchant_fraud_risk_{d}d")
    joined = (
        f"SELECT {', '.join(COLUMNS)}, timestamp // 1000 AS s, is_fraud FROM '{transactions}' "
        f"LEFT JOIN (SELECT transaction_id, is_fraud FROM '{labels}') USING (transaction_id)"
    )
    times = "((s // 86400 + 3) % 7 >= 5)::DOUBLE AS weekend, (s % 86400 // 3600 <= 6)::DOUBLE AS night"
    query = (
        f"SELECT * EXCLUDE (s, is_fraud), {', '.join(risks)}, {times} "
        f"FROM (SELECT *, {', '.join(features)} FROM ({joined}) WINDOW {', '.join(frames)})"
    )
    with duckdb.connect() as con:
        con.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)")


def polars_by_hand(transactions: str, labels: str, target: str) -> None:
    """Rolling sums within groups; a delayed window is the difference of two, as the authors have it."""
    import polars as pl

    def rolling(column: str, days: int, key: str) -> pl.Expr:
        return pl.col(column).rolling_sum_by("s", window_size=f"{days * DAY_S}i").over(key)

    known = pl.scan_parquet(labels).select("transaction_id", "is_fraud")
    events = (
        pl.scan_parquet(transactions)
        .select(COLUMNS)
        .join(known, on="transaction_id", how="left")
        .with_columns(
            s=pl.col("timestamp") // 1000, one=pl.lit(1.0), fraud=pl.col("is_fraud").fill_null(False).cast(pl.Float64)
        )
        .sort("s")
    )
    features = []
    for d in DAYS:
        count = rolling("one", d, "user_id")
        features += [
            count.alias(f"user_txn_count_{d}d"),
            (rolling("amount", d, "user_id") / count).alias(f"user_avg_amount_{d}d"),
        ]
        for name, column in (("txn", "one"), ("fraud", "fraud")):
            delayed = rolling(column, d + DELAY_D, "merchant_id") - rolling(column, DELAY_D, "merchant_id")
            features.append(delayed.alias(f"merchant_{name}_count_{d}d"))
    risks = []
    for d in DAYS:
        all_, frauds = pl.col(f"merchant_txn_count_{d}d"), pl.col(f"merchant_fraud_count_{d}d")
        risks.append(pl.when(all_ > 0).then(frauds / all_).otherwise(0.0).alias(f"merchant_fraud_risk_{d}d"))
    times = {
        "weekend": ((pl.col("s") // DAY_S + 3) % 7 >= 5).cast(pl.Float64),
        "night": (pl.col("s") % DAY_S // 3600 <= 6).cast(pl.Float64),
    }
    found = events.with_columns(features).with_columns(*risks, **times).drop("s", "one", "fraud", "is_fraud")
    found.sink_parquet(target, compression="snappy")


ENGINES = {"duckdb": compiled, "handwritten": duckdb_by_hand, "polars": polars_by_hand}


def measure(engine: str, transactions: str, labels: str, target: Path) -> dict[str, Any]:
    """Run `engine` in a process of its own; `seconds`, `cpu_s` and `peak_mib` of it."""
    command = [sys.executable, "-m", "benchmarks.batch_queries", engine, transactions, labels, str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine} failed: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mib() -> int:
    """Most memory that this process has held, MiB; the usage of resources would begin with that of the parent."""
    (line,) = (text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def main(engine: str, transactions: str, labels: str, target: str) -> None:
    """Run one engine and print its figures; what it imports is no part of them."""
    for module in ("duckdb", "polars", "lamina.features.point_in_time"):
        importlib.import_module(module)
    began, cpu = time.monotonic(), time.process_time()
    ENGINES[engine](transactions, labels, target)
    figures = {
        "seconds": round(time.monotonic() - began, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])

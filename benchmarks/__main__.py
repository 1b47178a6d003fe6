"""`python -m benchmarks [--quick]`: every benchmark, one after the other, each in a process of its own.

The long forms write `benchmarks/results/NAME.json`, from which the tables of the docs are made; the short ones write
nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    "answered_not_lost",
    "batch_features",
    "busy_key",
    "console_load",
    "decision_latency",
    "drift_alarms",
    "drift_scale",
    "fraud_handbook",
    "freshness",
    "hot_swap",
    "index_swap",
    "kill_and_recount",
    "loop",
    "online_read",
    "outages",
    "ranking_heads",
    "recsys_diversity",
    "recsys_movielens",
    "recsys_towers",
    "serving_throughput",
    "soak",
    "store_memory",
    "stream_throughput",
)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="The short forms, each within 50 s.")] = False,
    only: Annotated[str, typer.Option(help="Names, with commas between.")] = "",
) -> None:
    """Run the benchmarks; the exit status is 1 when one of them failed."""
    wanted = [name for name in only.split(",") if name] or list(BENCHMARKS)
    if unknown := set(wanted) - set(BENCHMARKS):
        raise typer.BadParameter(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    failed = []
    for name in wanted:
        results = HERE / "results" / f"{name}.json"
        results.parent.mkdir(exist_ok=True)
        options = ["--quick"] if quick else ["--json", str(results)]
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode:
            failed.append(name)
    if failed:
        Console(stderr=True).print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""A ranker's time for all candidates of a request: 1,000 rows of 40 features, three heads, 512-256, one thread.

The network is trained for real, an epoch on drawn rows (`seconds_train`, by the process that trains, its start and the
export included): what it learnt is nothing, and its size is that of the default settings. `p50_ms` and `p95_ms` are of
`predict_columns`, from columns to outputs: encoding, the network, calibration and weights. `network_p50_ms` is of the
network alone, `shares_p50_ms` of each head's share of all scores. `cpu_ms` is the mean processor time of a request:
beside other work on the machine it still tells what one costs. `one_p50_ms` is of a single row.

`--quick` asks fewer times. Without the environment that trains it says so, and measures nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import Figure, emit
from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.metrics import ranking
from lamina.evaluation.table import Table
from lamina.scoring.compiled import Compiled
from lamina.scoring.network import COMPILED_FILE
from lamina.scoring.ranker.heads import Head
from lamina.scoring.ranker.scorer import RankerScorer
from lamina.scoring.ranker.scorer import load as load_ranker
from lamina.scoring.ranker.weights import HeadWeights
from lamina.training.ranking.make import prepare, train_ranker
from lamina.training.ranking.recipe import RankingPlan, RankingRecipe
from lamina.training.ranking.settings import RankerSettings
from lamina.training.torch_process import here
from models.fraud.problem import PROBLEM

CANDIDATES, NUMBERS, PLACES, ROWS_A_DAY, DAYS = 1000, 38, 10, 400, 8
TEXTS = {"merchant_category": 12, "device_type": 4}
"""How many values each has; with the numbers they are the 40 features."""
NAMES = (*[name for name in FEATURES.model_features if name not in FEATURES.categorical][:NUMBERS], *TEXTS)
DAY = date(2026, 1, 31)
BARS = {"p95_ms": "<= 40", "features": "== 40"}
"""The stage's budget of a request."""

RECIPE = RankingRecipe(
    problem=replace(
        PROBLEM,
        record=replace(PROBLEM.record, features=replace(FEATURES, model_features=NAMES)),
        figures=lambda rows, score: ranking(rows.positive, score),
        columns=("watched_s", "like", "position"),
        known_leave=False,
    ),
    heads=(Head(name="watched_s", kind="quantity", unit="s"), Head(name="click"), Head(name="like")),
    label="click",
    weights=HeadWeights(1, {"watched_s": 0.6, "click": 0.3, "like": 0.1}),
    position="position",
    settings=RankerSettings(epochs=1),
)
PLAN = RankingPlan(DAY, train_days=5, delay_days=1, test_days=1, valid_days=2)


def drawn_inputs(rng: np.random.Generator, rows: int) -> dict[str, NDArray[Any]]:
    """Columns of the 40 features, a tenth of every other number missing."""
    found: dict[str, NDArray[Any]] = {name: rng.gamma(2.0, 20.0, rows) for name in NAMES if name not in TEXTS}
    for name in NAMES[:NUMBERS:2]:
        found[name][rng.random(rows) < 0.1] = np.nan
    for name, values in TEXTS.items():
        found[name] = rng.choice(np.array([f"{name}-{i}" for i in range(values)], object), rows)
    return found


def drawn_rows() -> Table:
    """Rows of some days whose clicks go by one number."""
    rng = np.random.default_rng(0)
    n = DAYS * ROWS_A_DAY
    inputs = drawn_inputs(rng, n)
    click = rng.random(n) < 1 / (1 + np.exp(-0.1 * (inputs[NAMES[1]] - 50)))
    day = midnight_ms(DAY) // DAY_MS - DAYS + np.repeat(np.arange(DAYS), ROWS_A_DAY)
    return Table(
        id=np.array([f"r{i}" for i in range(n)], object),
        inputs=inputs,
        positive=click,
        unit=np.array([f"u{i % 100}" for i in range(n)], object),
        day=day.astype(np.int64),
        columns={
            "watched_s": click * rng.lognormal(3.0, 1.0, n) * (inputs[NAMES[1]] / 50),
            "like": (click & (rng.random(n) < 0.3)).astype(np.float64),
            "position": rng.integers(1, PLACES + 1, n).astype(np.float64),
        },
        weight=np.ones(n),
        waited=np.where(click, 0.1, np.nan),
    )


def timed(asked: Callable[[], object], times: int) -> NDArray[np.float64]:
    """float64[times]: milliseconds of each call, after ten that do not count."""
    for _ in range(10):
        asked()
    found = np.empty(times)
    for at in range(times):
        began = time.perf_counter()
        asked()
        found[at] = (time.perf_counter() - began) * 1000
    return found


def measured(scorer: RankerScorer, folder: Path, times: int) -> dict[str, Figure]:
    """Figures of so many requests."""
    columns = drawn_inputs(np.random.default_rng(1), CANDIDATES)
    one = {name: values[:1] for name, values in columns.items()}
    compiled = Compiled.read(folder / COMPILED_FILE)
    matrix = np.full((CANDIDATES, len(NAMES) + 1), 1.0, np.float32)
    outputs = scorer.predict_columns(columns, CANDIDATES)
    began = time.process_time()
    whole = timed(lambda: scorer.predict_columns(columns, CANDIDATES), times)
    cpu = (time.process_time() - began) * 1000 / (times + 10)
    return {
        "candidates": CANDIDATES,
        "features": len(scorer.names),
        "heads": len(scorer.heads),
        "requests": times,
        "p50_ms": round(float(np.percentile(whole, 50)), 2),
        "p95_ms": round(float(np.percentile(whole, 95)), 2),
        "cpu_ms": round(cpu, 2),
        "network_p50_ms": round(float(np.median(timed(lambda: compiled.run(matrix), times))), 2),
        "shares_p50_ms": round(float(np.median(timed(lambda: scorer.shares(outputs), times))), 3),
        "one_p50_ms": round(float(np.median(timed(lambda: scorer.predict_columns(one, 1), times))), 3),
    }


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Ask fewer times.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure; exits with 1 when a bar is missed."""
    if not here():
        Console().print("skipped: there is no environment with torch: make networks")
        return
    with tempfile.TemporaryDirectory(prefix="lamina-ranking-") as name:
        folder = Path(name) / "model"
        began = time.monotonic()
        train_ranker(prepare(RECIPE, drawn_rows(), PLAN), folder)
        seconds = time.monotonic() - began
        scorer = load_ranker(folder, RECIPE.problem.features)
        found = measured(scorer, folder, 200 if quick else 2000)
    found["seconds_train"] = round(seconds, 1)
    if not emit("ranking_heads", found, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""Two towers beside EASE, iALS and popularity, on the protocols of `recsys_movielens`; k = 10, one split, one seed.

Towers are told age, gender and occupation of users, genres and year of films. Their settings are the best of ten that
were tried inside the training rows of MovieLens-100k (other numbers of epochs, decays, shares that are hidden or left
out, a hidden layer), those of EASE and iALS the ones that `recsys_movielens` chose; on MovieLens-1M, which has nine
times the rows, towers take fewer epochs. `served_*` is what has the best nDCG on the rows to choose by, which are no
test rows: that is what is to be registered as champion.

`gain_of_correction` is the difference in nDCG between towers with the streaming correction for popularity and the same
towers without it, on the test rows of MovieLens-100k, with an interval of 95 % of a bootstrap by user. `behind_*` is by
how much towers are behind the best of the others, with the same interval. `new_ndcg_100k_*` is of users whose rows the
training has not seen: they are told by history and words alone.

`--quick` takes MovieLens-100k alone, an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.recsys_movielens import CHOOSE_SEED, SPLIT_SEED, SPLIT_SEEDS, K, tested
from benchmarks.recsys_sets import Absent, Words, movielens_1m, movielens_100k, words_1m, words_100k
from benchmarks.report import Figure, emit
from lamina.evaluation.holdout import Parts, by_item, by_user
from lamina.evaluation.top_k import Ranked, gains, measure
from lamina.training.retrieval.ease import Ease
from lamina.training.retrieval.ials import Ials
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import Method
from lamina.training.retrieval.towers.method import TrainTowers
from lamina.training.retrieval.towers.settings import TowerSettings
from lamina.training.torch_process import here

EPOCHS_1M = 3
NEW_SHARE = 0.1
TOGETHER = 2
"""Trainings at a time, each of one thread."""
OTHERS_100K: tuple[Method, ...] = (Popularity(), Ease(600.0), Ials(64, 0.02, 0.3))
OTHERS_1M: tuple[Method, ...] = (Popularity(), Ease(500.0), Ials(64, 0.01, 0.3))


class Measured(NamedTuple):
    """A method by name, its nDCG on the rows to choose by, and its figures on the test rows."""

    name: str
    valid: float
    test: Ranked


def chosen_by(method: Method, parts: Parts) -> float:
    """The nDCG on rows that were cut from the training rows."""
    inside = by_user(parts.train, CHOOSE_SEED, (0.1, 0.0))
    return measure(method.fit(inside.train), inside.train, inside.valid, K).means()["ndcg"]


def small(method: Method, parts: Parts) -> Measured:
    """On MovieLens-100k."""
    return Measured(method.name, chosen_by(method, parts), tested(method.fit(parts.train), parts))


def large(method: Method, parts: Parts) -> Measured:
    """On MovieLens-1M, where the rows to choose by lie beside those of the training: one fit serves both."""
    made = method.fit(parts.train)
    valid = measure(made, parts.train, parts.valid, K).means()["ndcg"]
    return Measured(method.name, valid, tested(made, parts))


def new_users(method: Method, parts: Parts) -> float:
    """The nDCG of users whose rows were kept out of the training, asked by their training rows."""
    new = np.random.default_rng(CHOOSE_SEED).random(len(parts.train.users)) < NEW_SHARE
    left = parts.train.take(~new[parts.train.user])
    asked, test = (part.take(new[part.user]) for part in (parts.train, parts.test))
    return measure(method.fit(left), asked, test, K).means()["ndcg"]


def figures_of(name: str, measured: Sequence[Measured]) -> dict[str, Figure]:
    """Recall and nDCG of each, and how far towers are from the best of the others."""
    means = {each.name: each.test.means() for each in measured}
    towers = next(each for each in measured if each.name == "towers")
    others = [each for each in measured if each is not towers]
    best = max(others, key=lambda each: means[each.name]["ndcg"])
    behind = gains(best.test, towers.test, ("ndcg",))["ndcg"]
    show(name, means)
    return {
        f"served_{name}": max(measured, key=lambda each: each.valid).name,
        **{f"valid_ndcg_{name}_{each.name}": round(each.valid, 4) for each in measured},
        **{f"ndcg_{name}_{key}": round(mean["ndcg"], 4) for key, mean in means.items()},
        **{f"recall_{name}_{key}": round(mean["recall"], 4) for key, mean in means.items()},
        f"behind_{name}": round(behind.difference, 4),
        f"behind_{name}_low": round(behind.low, 4),
        f"behind_{name}_high": round(behind.high, 4),
    }


def gain_of_correction(with_it: Ranked, without: Ranked) -> dict[str, Figure]:
    """What the correction for popularity is worth."""
    gain = gains(with_it, without, ("ndcg",))["ndcg"]
    return {
        "ndcg_100k_uncorrected": round(without.means()["ndcg"], 4),
        "covered_100k": with_it.covered,
        "covered_100k_uncorrected": without.covered,
        "gain_of_correction": round(gain.difference, 4),
        "gain_of_correction_low": round(gain.low, 4),
        "gain_of_correction_high": round(gain.high, 4),
    }


def show(name: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """All beside one another, the best nDCG last."""
    table = Table("", "recall@10", "nDCG@10", title=f"MovieLens-{name}")
    for method, row in sorted(rows.items(), key=lambda each: each[1]["ndcg"]):
        table.add_row(method, f"{row['recall']:.4f}", f"{row['ndcg']:.4f}")
    Console().print(table)


def measured_all(first: Parts, words: Words, second: tuple[Parts, Words] | None, epochs: int) -> dict[str, Figure]:
    """Figures on MovieLens-100k, and on MovieLens-1M where it is given."""
    settings = TowerSettings(epochs=epochs)
    towers = TrainTowers(settings, *words)
    uncorrected = TrainTowers(replace(settings, correction="none"), *words)
    with ThreadPoolExecutor(TOGETHER) as pool:
        if second is not None:
            parts, others = second
            longest = pool.submit(large, TrainTowers(replace(settings, epochs=EPOCHS_1M), *others), parts)
        ours = pool.submit(small, towers, first)
        without = pool.submit(lambda: tested(uncorrected.fit(first.train), first))
        new = pool.submit(new_users, towers, first)
        found = figures_of("100k", [ours.result(), *(small(method, first) for method in OTHERS_100K)])
        found |= gain_of_correction(ours.result().test, without.result())
        for method in OTHERS_100K:
            found[f"new_ndcg_100k_{method.name}"] = round(new_users(method, first), 4)
        found["new_ndcg_100k_towers"] = round(new.result(), 4)
        if second is not None:
            found |= figures_of("1m", [longest.result(), *(large(method, parts) for method in OTHERS_1M)])
    return found


def main(
    quick: Annotated[bool, typer.Option("--quick", help="MovieLens-100k alone, an epoch.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure. Without the data, or without torch, it says so, and measures nothing."""
    first, second = movielens_100k(), movielens_1m()
    if not here():
        Console().print("skipped: there is no environment with torch: make networks")
        return
    for each in (first, second):
        if isinstance(each, Absent):
            Console().print(f"skipped: {each.reason}")
    if isinstance(first, Absent) or isinstance(second, Absent):
        return
    began = time.monotonic()
    larger = None if quick else (by_user(second, SPLIT_SEEDS[0]), words_1m())
    figures = measured_all(by_item(first, SPLIT_SEED), words_100k(), larger, 1 if quick else TowerSettings().epochs)
    figures["seconds"] = round(time.monotonic() - began, 1)
    emit("recsys_towers", figures, {}, json_file)


if __name__ == "__main__":
    typer.run(main)

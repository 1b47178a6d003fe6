"""Retrieval by published protocols: recommenders' MovieLens-100k, RecBole's MovieLens-1M, Last.fm with friends; k = 10.

Each method's settings are chosen inside the training rows (of MovieLens-1M and Last.fm on the protocol's own rows to
choose by), and so is the method that serves: the best by nDCG there. It is fitted again, registered in MLflow, made the
champion, loaded back, and only then measured on the test rows. `ndcg_100k` is the mean of fits with seeds 0 to 2,
`*_1m` of split seeds 2020 to 2024, settings chosen in each anew. `ndcg_100k_*`, `ndcg_1m_*` (first split) and
`recall_lastfm_*` are of the other methods, tuned alike. `sar_ndcg_100k` is SAR with the published settings, where
recommenders publish 0.393819. Best published: nDCG 0.475 (100k, BiVAE), recall 0.2003 and nDCG 0.2700 (1M, NCL and
SimpleX).

Last.fm: does a friends' source raise recall over collaborative filtering alone? The source scores an artist by how many
friends listened to it. Blended, two ways: `quota` gives it 3 places of 10 (20 to 50 % of the candidates), `score` adds
it to the other's scores, both scaled by user, with the weight that was best on the rows to choose by. `gain_*` are
differences of recall@10, with intervals of 95 % of a bootstrap by user, seen on test rows alone.

`--quick` takes fewer settings, one seed, one split, and leaves Last.fm out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.recsys_friends import measure_friends
from benchmarks.recsys_sets import Absent, lastfm, movielens_1m, movielens_100k
from benchmarks.report import Figure, emit
from lamina.evaluation.holdout import Parts, by_item, by_user
from lamina.evaluation.top_k import Ranked, measure
from lamina.registry.deploy import promote
from lamina.registry.mlflow import MlflowRegistry
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.protocol import Retriever
from lamina.training.retrieval.choose import Tried, choose
from lamina.training.retrieval.ease import Ease
from lamina.training.retrieval.ials import Ials
from lamina.training.retrieval.neighbours import ItemKnn, Sar
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import Method, settings_of
from lamina.training.retrieval.publish import open_version, publish, retrieval_name

K = 10
DAY = date(2026, 1, 1)
SPLIT_SEED = 42
SEEDS = (0, 1, 2)
SPLIT_SEEDS = (2020, 2021, 2022, 2023, 2024)
CHOOSE_SEED = 0
SMALL, LARGE, FRIENDS = "movielens-100k", "movielens-1m", "lastfm"
BARS = {"sar_ndcg_100k": "== 0.393819", "ndcg_100k": ">= 0.484", "recall_1m": ">= 0.21", "ndcg_1m": ">= 0.28"}
PUBLISHED = {
    SMALL: {
        "SAR": (0.185377, 0.393819),
        "LightGCN": (0.195985, 0.416371),
        "BPR": (0.216555, 0.444991),
        "BiVAE": (0.220898, 0.468673),
    },
    LARGE: {
        "ItemKNN": (0.1723, 0.2389),
        "LightGCN": (0.1823, 0.2478),
        "SimpleX": (0.1997, 0.2700),
        "NCL": (0.2003, 0.2679),
    },
    FRIENDS: {
        "BPR": (0.1761, 0.1674),
        "LightGCN": (0.2064, 0.1972),
        "MHCN": (0.2123, 0.2068),
        "SEPT": (0.2127, 0.2057),
    },
}
"""Recall and nDCG of recommenders' notebook (2025-07), and of RecBole's and RecBole-GNN's tables."""

GRIDS: dict[str, list[list[Method]]] = {
    SMALL: [
        [Popularity()],
        [ItemKnn(n, shrink) for n in (50, 100, 200) for shrink in (0.0, 20.0)],
        [Sar(days) for days in (0.0, 30.0, 90.0)],
        [Ease(value) for value in (200.0, 400.0, 600.0, 1000.0)],
        [Ials(f, reg, uw) for f in (32, 64) for reg in (0.01, 0.02, 0.03) for uw in (0.3, 0.5)],
    ],
    LARGE: [
        [Popularity()],
        [ItemKnn(100)],
        [Ease(value) for value in (500.0, 1000.0, 1500.0)],
        [Ials(64, 0.01, 0.3)],
    ],
    FRIENDS: [
        [Popularity()],
        [ItemKnn(n) for n in (50, 200)],
        [Ials(64, reg, uw, epochs=10) for reg in (0.003, 0.006, 0.01) for uw in (0.1, 0.2)],
    ],
}
QUICK: dict[str, list[list[Method]]] = {
    SMALL: [[Ease(600.0)], [Ials(32, 0.02, 0.5), Ials(64, 0.02, 0.5)]],
    LARGE: [[Popularity()], [Ease(1000.0)]],
}


class Registry:
    """A registry in a folder of its own, and what it serves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._registry = MlflowRegistry(f"sqlite:///{folder}/mlflow.db")
        for system in (SMALL, LARGE):
            # Else artefacts would lie in the folder that the benchmark was started from.
            self._registry.client.create_experiment(retrieval_name(system), artifact_location=f"file://{folder}/runs")

    def served(self, system: str, method: Method, parts: Parts, valid_ndcg: float) -> Ranked:
        """Figures of what `method` makes of the training rows, once it is registered, champion, and loaded back."""
        made = publish(
            self._registry, system, DAY, method, method.fit(parts.train), parts.train, {"valid_ndcg": valid_ndcg}
        )
        promote(self._registry, made.name, made.version)
        opened = open_version(self._registry, system, self._folder / "served" / system / made.version)
        return tested(opened.retriever, parts)


def tested(retriever: Retriever, parts: Parts) -> Ranked:
    """Figures on the test rows, asked by the training rows; those to choose by are not recommended either."""
    return measure(retriever, parts.train, parts.test, K, without=parts.known)


def choose_each(grids: Sequence[Sequence[Method]], learn: Interactions, valid: Interactions) -> list[Tried]:
    """The best settings of each kind of method, the best kind first."""
    best = (max(choose(grid, learn, valid, k=K).tried, key=lambda tried: tried.value) for grid in grids)
    return sorted(best, key=lambda tried: -tried.value)


def small(seen: Interactions, registry: Registry, quick: bool) -> dict[str, Figure]:
    """MovieLens-100k."""
    parts = by_item(seen, SPLIT_SEED)
    sar = tested(Sar(half_life_days=30.0).fit(parts.train), parts)
    inside = by_user(parts.train, CHOOSE_SEED, (0.1, 0.0))
    chosen = choose_each((QUICK if quick else GRIDS)[SMALL], inside.train, inside.valid)
    rows = {name_of(tried.method): tested(tried.method.fit(parts.train), parts).means() for tried in chosen}
    best, *others = chosen
    runs = [
        registry.served(SMALL, seeded(best.method, seed), parts, best.value) for seed in SEEDS[: 1 if quick else None]
    ]
    means = [run.means() for run in runs]
    show(SMALL, rows)
    return {
        "sar_ndcg_100k": round(sar.means()["ndcg"], 6),
        "ndcg_100k": round(fmean(each["ndcg"] for each in means), 4),
        "recall_100k": round(fmean(each["recall"] for each in means), 4),
        "map_100k": round(fmean(each["map"] for each in means), 4),
        "covered_100k": runs[0].covered,
        "served_100k": name_of(best.method),
        **{f"ndcg_100k_{t.method.name}": round(rows[name_of(t.method)]["ndcg"], 4) for t in others},
    }


def large(seen: Interactions, registry: Registry, quick: bool) -> dict[str, Figure]:
    """MovieLens-1M, over the splits."""
    others: dict[str, Figure] = {}
    runs, served = [], []
    for seed in SPLIT_SEEDS[: 1 if quick else None]:
        parts = by_user(seen, seed)
        chosen = choose_each((QUICK if quick else GRIDS)[LARGE], parts.train, parts.valid)
        if not others:
            rows = {name_of(tried.method): tested(tried.method.fit(parts.train), parts).means() for tried in chosen}
            others = {f"ndcg_1m_{t.method.name}": round(rows[name_of(t.method)]["ndcg"], 4) for t in chosen[1:]}
            show(LARGE, rows)
        served.append(name_of(chosen[0].method))
        runs.append(registry.served(LARGE, chosen[0].method, parts, chosen[0].value).means())
    return {
        **{f"{name}_1m": round(fmean(run[name] for run in runs), 4) for name in ("recall", "ndcg", "mrr", "hit")},
        "interactions_1m": len(seen),
        "served_1m": ", ".join(dict.fromkeys(served)),
        **others,
    }


def seeded(method: Method, seed: int) -> Method:
    """The same settings with another seed, where there is one."""
    return replace(method, seed=seed) if isinstance(method, Ials) else method


def name_of(method: Method) -> str:
    """In words for a table."""
    settings = ", ".join(f"{key} {value:g}" for key, value in settings_of(method).items() if key != "seed")
    return f"{method.name} ({settings})" if settings else method.name


def show(system: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Ours beside what is published, the best nDCG last."""
    table = Table("", "recall@10", "nDCG@10", title=system)
    ours = {f"ours: {name}": (row["recall"], row["ndcg"]) for name, row in rows.items()}
    for name, (recall, ndcg) in sorted((PUBLISHED[system] | ours).items(), key=lambda each: each[1][1]):
        table.add_row(name, f"{recall:.4f}", f"{ndcg:.4f}")
    Console().print(table)


def friends(quick: bool) -> dict[str, Figure]:
    """Last.fm; nothing where the form is short."""
    found = lastfm()
    if quick or isinstance(found, Absent):
        return {}
    parts = by_user(found.seen, SPLIT_SEEDS[0])
    chosen = choose_each(GRIDS[FRIENDS], parts.train, parts.valid)
    rows = {name_of(tried.method): tested(tried.method.fit(parts.train), parts).means() for tried in chosen}
    show(FRIENDS, rows)
    return {
        "served_lastfm": name_of(chosen[0].method),
        **{f"recall_lastfm_{t.method.name}": round(rows[name_of(t.method)]["recall"], 4) for t in chosen},
        **measure_friends(chosen[0].method, parts, found.follows, K),
    }


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer settings, seeds and splits.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure; exits with 1 when a bar is missed. Without the data it says so, and measures nothing."""
    first, second = movielens_100k(), movielens_1m()
    for each in (first, second):
        if isinstance(each, Absent):
            Console().print(f"skipped: {each.reason}")
    if isinstance(first, Absent) or isinstance(second, Absent):
        return
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder:
        registry = Registry(Path(folder))
        figures = {**small(first, registry, quick), **large(second, registry, quick), **friends(quick)}
    figures["seconds"] = round(time.process_time() - began, 1)
    if not emit("recsys_movielens", figures, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

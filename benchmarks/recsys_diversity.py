"""What diversity costs in nDCG and gives in coverage: MovieLens-1M, RecBole's protocol, first split, k = 10.

iALS (64 factors) gives 100 candidates to every user, of which `diversified` shows 10: by score alone; with at most 2 or
3 of one genre (the one named first); and by marginal relevance over the factors, at several trades. `ndcg_*` and
`recall_*` are on the test rows. `loses_*` is the difference of nDCG to the score alone, with the bounds of an interval
of 95 % of a bootstrap by user. `covered_*` counts the films that anybody is shown, of 3,123; `genres_*` is the mean
number of genres in a list; `alike_*` the mean cosine between two films of it.

`--quick` fits fewer factors for fewer epochs, and takes every fourth user.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.recsys_sets import Absent, genres_1m, movielens_1m
from benchmarks.report import Figure, emit
from lamina.evaluation.holdout import Parts, by_user
from lamina.evaluation.top_k import Ranked, figures, gains
from lamina.scoring.diversity import Limit, diversified
from lamina.scoring.retrievers.factors import Factors
from lamina.scoring.retrievers.recommend import top
from lamina.training.retrieval.ials import Ials

K, CANDIDATES, SPLIT_SEED, EVERY = 10, 100, 2020, 4
BARS = {"over_limit": "== 0"}


class Way(NamedTuple):
    """One way to choose: at most `most` of a genre, if any, and a trade."""

    name: str
    most: int | None = None
    trade: float = 1.0


WAYS = (
    Way("score"),
    Way("3_a_genre", most=3),
    Way("2_a_genre", most=2),
    Way("mmr_0.7", trade=0.7),
    Way("mmr_0.5", trade=0.5),
    Way("mmr_0.3", trade=0.3),
    Way("2_a_genre_mmr_0.7", most=2, trade=0.7),
)


class Lists(NamedTuple):
    """What a way showed: how good, the mean number of genres and cosine, and lists with more of a genre than may be."""

    ranked: Ranked
    genres: float
    alike: float
    over: int


def candidates(
    retriever: Factors, parts: Parts, every: int
) -> list[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """User, places and scores of the best that the user has met in neither the training nor the validation rows."""
    wanted = np.diff(parts.test.seen().indptr) > 0
    found = []
    for some in top(retriever, parts.train, CANDIDATES, without=parts.known):
        for row, (place, score) in enumerate(zip(some.place, some.score, strict=True)):
            user = some.first + row
            if wanted[user] and user % every == 0:
                found.append((user, place[score > -np.inf], score[score > -np.inf]))
    return found


def shown(
    way: Way,
    retriever: Factors,
    parts: Parts,
    each: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]],
    genres: NDArray[np.object_],
) -> Lists:
    """What every user is shown."""
    relevant = parts.test.onto(retriever.items).seen().tocsr()
    sizes = np.diff(parts.test.seen().indptr)
    vectors = retriever.item_vectors()
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    hits = np.zeros((len(each), K), bool)
    covered, kinds, alike, over = set[int](), [], [], 0
    for row, (user, places, scores) in enumerate(each):
        limits = [Limit(genres[places].tolist(), way.most)] if way.most else []
        chosen = places[diversified(scores, K, limits=limits, vectors=vectors[places], trade=way.trade)]
        own = relevant.indices[relevant.indptr[user] : relevant.indptr[user + 1]]
        hits[row, : len(chosen)] = np.isin(chosen, own)
        covered.update(chosen.tolist())
        counts = np.unique(genres[chosen].astype(str), return_counts=True)[1]
        kinds.append(len(counts))
        over += bool(way.most) and bool(counts.max() > (way.most or K))
        cosines = directions[chosen] @ directions[chosen].T
        alike.append((cosines.sum() - len(chosen)) / (len(chosen) * (len(chosen) - 1)))
    users = parts.test.users[[user for user, _, _ in each]]
    relevant_each = sizes[[user for user, _, _ in each]].astype(np.int64)
    ranked = Ranked(users, figures(hits, relevant_each), len(covered))
    return Lists(ranked, float(np.mean(kinds)), float(np.mean(alike)), over)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer factors, epochs and users.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure; exits with 1 when a bar is missed. Without the data it says so, and measures nothing."""
    seen = movielens_1m()
    if isinstance(seen, Absent):
        Console().print(f"skipped: {seen.reason}")
        return
    began = time.process_time()
    parts = by_user(seen, SPLIT_SEED)
    method = Ials(16, 0.01, 0.3, epochs=3) if quick else Ials(64, 0.01, 0.3)
    retriever = method.fit(parts.train)
    first = genres_1m()
    genres = np.array([first.get(item) for item in retriever.items], object)
    each = candidates(retriever, parts, EVERY if quick else 1)
    lists = {way.name: shown(way, retriever, parts, each, genres) for way in WAYS}
    found: dict[str, Figure] = {"users": len(each), "over_limit": sum(each_list.over for each_list in lists.values())}
    for name, way in lists.items():
        means = way.ranked.means()
        found[f"ndcg_{name}"], found[f"recall_{name}"] = round(means["ndcg"], 4), round(means["recall"], 4)
        found[f"covered_{name}"] = way.ranked.covered
        found[f"genres_{name}"], found[f"alike_{name}"] = round(way.genres, 2), round(way.alike, 3)
        if name != "score":
            gain = gains(way.ranked, lists["score"].ranked, ["ndcg"])["ndcg"]
            found[f"loses_{name}"] = f"{-gain.difference:.4f} ({-gain.high:.4f} to {-gain.low:.4f})"
    found["seconds"] = round(time.process_time() - began, 1)
    if not emit("recsys_diversity", found, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

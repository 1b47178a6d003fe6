"""What a friends' source adds to collaborative filtering: the part of `recsys_movielens` on Last.fm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure
from lamina.evaluation.holdout import Parts
from lamina.evaluation.metrics import Ints
from lamina.evaluation.top_k import Ranked, figures, gains, hits_of
from lamina.scoring.exact_index import best
from lamina.scoring.interactions import Interactions
from lamina.training.retrieval.protocol import Method

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Of the friends' scores beside the others', which count 1."""
QUOTA = (50, 20)
"""Shares of candidates by collaborative filtering and by whom a user follows."""
RESAMPLES_SEED = 0
Scores = NDArray[np.float32]


def measure_friends(method: Method, parts: Parts, follows: Any, k: int) -> dict[str, Figure]:
    """Recall of both ways to blend, and what each adds."""
    others = np.array(method.fit(parts.train).scores(parts.train))
    friends = np.asarray((follows @ parts.train.seen()).toarray(), np.float32)
    no_longer = parts.train.seen().toarray() > 0
    weight = max(
        WEIGHTS,
        key=lambda weight: ranked(_blended(others, friends, weight), no_longer, parts.valid, k).means()["recall"],
    )
    no_longer |= parts.valid.seen().toarray() > 0
    alone = ranked(others, no_longer, parts.test, k)
    ways = {
        "score": ranked(_blended(others, friends, weight), no_longer, parts.test, k),
        "quota": _quota(others, friends, no_longer, parts.test, k),
    }
    found: dict[str, Figure] = {
        "recall_lastfm_cf": round(alone.means()["recall"], 4),
        "recall_lastfm_friends": round(ranked(friends, no_longer, parts.test, k).means()["recall"], 4),
        "weight_of_friends": weight,
    }
    for name, way in ways.items():
        gain = gains(way, alone, ("recall",), seed=RESAMPLES_SEED)["recall"]
        found |= {
            f"recall_lastfm_{name}": round(way.means()["recall"], 4),
            f"gain_{name}": round(gain.difference, 4),
            f"gain_{name}_low": round(gain.low, 4),
            f"gain_{name}_high": round(gain.high, 4),
        }
    return found


def ranked(scores: Scores, left_out: NDArray[np.bool_], test: Interactions, k: int) -> Ranked:
    """Figures of the `k` best of float32[users, items], `left_out` left out."""
    places, values = best(np.where(left_out, -np.inf, scores).astype(np.float32), k)
    return _of_places(places, values, test)


def _of_places(places: Ints, values: Scores, test: Interactions) -> Ranked:
    relevant = test.seen().toarray() > 0
    has = relevant.any(axis=1)
    hits = hits_of(places, values, relevant)
    return Ranked(test.users[has], figures(hits[has], relevant.sum(axis=1)[has]), len(np.unique(places)))


def _blended(others: Scores, friends: Scores, weight: float) -> Scores:
    """Both by user from 0 to about 1, so that a weight means the same for each."""
    scaled = [scores / np.maximum(scores.max(axis=1, keepdims=True), 1e-9) for scores in (others, friends)]
    found: Scores = scaled[0] + np.float32(weight) * scaled[1]
    return found


def _quota(others: Scores, friends: Scores, left_out: NDArray[np.bool_], test: Interactions, k: int) -> Ranked:
    """The best of the others in their share of the places, then the friends' best of what is left, then the others'."""
    share = round(k * QUOTA[0] / sum(QUOTA))
    first, _ = best(np.where(left_out, -np.inf, others).astype(np.float32), share)
    rest = left_out.copy()
    np.put_along_axis(rest, first, True, axis=1)
    # Where friends have nothing more, the others go on: any friend's score is above all of theirs.
    least, most = others.min(), others.max()
    filled = np.where(friends > 0, 2.0 + friends, (others - least) / (most - least))
    second, values = best(np.where(rest, -np.inf, filled).astype(np.float32), k - share)
    values = np.concatenate([np.zeros(first.shape, np.float32), values], axis=1)
    return _of_places(np.concatenate([first, second], axis=1), values, test)

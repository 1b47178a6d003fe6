"""What a retriever finds for a viewer: videos for the whole history, and neighbours of each of the last watches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lamina.scoring.exact_index import best
from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.retrievers.protocol import Float32s, Retriever
from serving.systems.recommendation.mixing import MOST, SHARES, SIMILAR
from serving.systems.recommendation.shelf import in_turn

LATELY = 5
"""Of the last watches that it knows so many have their neighbours looked for."""
WHOLE = ""


class Near(NamedTuple):
    """Ids of videos that were not watched, the best first."""

    collaborative: Sequence[str]
    similar: Sequence[str]


def near(retriever: Retriever, recent: Sequence[str], at_s: float, *, most: int = MOST) -> Near | None:
    """What `retriever` finds for who has watched `recent`, the newest first, by `at_s` (epoch seconds).

    None where it knows none of them: it has no order for such a viewer. A source is given enough to fill its share of
    `most` alone.
    """
    known = [id_ for id_ in dict.fromkeys(recent) if _knows(retriever.items, id_)]
    if not known:
        return None
    lately = known[:LATELY]
    users = [WHOLE] * len(known) + [str(n + 1) for n in range(len(lately))]
    # Only their order is known.
    times = [at_s - n for n in range(len(known))]
    asked = Interactions.of(users, [*known, *lately], time_s=[*times, *times[: len(lately)]])
    scores = np.asarray(retriever.scores(asked))
    k = min(most + len(known), scores.shape[1])
    watched = set(known)
    whole = _ids(retriever, scores[:1], k, watched)[0]
    of_each = min(round(SHARES[SIMILAR] * most) + len(known), k)
    return Near(whole, in_turn(_ids(retriever, scores[1:], of_each, watched)))


def _knows(items: Texts, id_: str) -> bool:
    """Whether it is among `items`, which are sorted."""
    place = bisect_left(items, id_)
    return place < len(items) and bool(items[place] == id_)


def _ids(retriever: Retriever, scores: Float32s, k: int, watched: set[str]) -> list[list[str]]:
    places, _ = best(scores, k)
    return [[id_ for id_ in row if id_ not in watched] for row in retriever.items[places].tolist()]

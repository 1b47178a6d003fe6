from __future__ import annotations

import numpy as np
import pytest

from lamina.evaluation.holdout import at_least, by_item, by_user
from lamina.evaluation.top_k import measure
from lamina.scoring.interactions import Interactions
from lamina.settings import load_settings
from lamina.training.retrieval.neighbours import Sar

COUNTS = (3, 10, 19, 20, 25)


def interactions() -> Interactions:
    users = [f"u{u}" for u, count in enumerate(COUNTS) for _ in range(count)]
    return Interactions.of(users, [i for count in COUNTS for i in range(count)])


def test_by_user_a_tenth_of_each_rounded_down_is_chosen_by_and_tested() -> None:
    seen = interactions()
    parts = by_user(seen, 1)
    sizes = [np.bincount(part.user, minlength=len(COUNTS)).tolist() for part in parts]
    assert sizes == [[3, 8, 17, 16, 21], [0, 1, 1, 2, 2], [0, 1, 1, 2, 2]]
    together = sum(part.matrix().toarray() for part in parts)
    assert (together == seen.matrix().toarray()).all()
    assert not np.array_equal(by_user(seen, 2).test.item, parts.test.item)
    assert np.array_equal(by_user(seen, 1).test.item, parts.test.item)


def test_what_came_before_the_test_is_known() -> None:
    parts = by_user(interactions(), 1)
    before = parts.train.matrix().toarray() + parts.valid.matrix().toarray()
    assert (parts.known.matrix().toarray() == before).all()


def test_by_item_three_quarters_of_each_are_learnt_from() -> None:
    seen = Interactions.of(list(range(11)), ["a"] * 8 + ["b"] * 3)
    parts = by_item(seen, 42)
    assert np.bincount(parts.train.item).tolist() == [6, 2]
    assert len(parts.test) == 3 and not len(parts.valid)


def test_taking_out_goes_on_until_nothing_is_too_rare() -> None:
    """Without c, w has one interaction left; without w, b has one; u and v keep a and d."""
    rows = [("u", "a"), ("u", "d"), ("v", "a"), ("v", "d"), ("w", "b"), ("w", "c"), ("u", "b")]
    kept = at_least(Interactions.of([u for u, _ in rows], [i for _, i in rows]), 2)
    assert (kept.users.tolist(), kept.items.tolist(), len(kept)) == (["u", "v"], ["a", "d"], 4)
    assert len(at_least(kept, 9)) == 0


def test_the_published_figures_of_sar_are_reproduced_to_the_digit() -> None:
    """recommenders, sar_movielens notebook: MovieLens-100k, k = 10."""
    file = load_settings().data / "recsys" / "ml-100k" / "ratings.parquet"
    if not file.exists():
        pytest.skip(f"{file} is absent: set LAMINA_DATA to the folder that holds recsys")
    import pyarrow.parquet as pq

    table = pq.read_table(file).to_pydict()
    seen = Interactions.of(table["user_id"], table["item_id"], table["rating"], table["timestamp"])
    parts = by_item(seen, 42)
    assert (len(parts.train), len(parts.test)) == (75_066, 24_934)
    found = measure(Sar(half_life_days=30).fit(parts.train), parts.train, parts.test, 10).means()
    assert {name: round(found[name], 6) for name in ("map", "ndcg", "precision", "recall")} == {
        "map": 0.114038,
        "ndcg": 0.393819,
        "precision": 0.340615,
        "recall": 0.185377,
    }

"""What towers are trained on, as files: pairs in shards of parquet, and a table each of users and of items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lamina.errors import LaminaError
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.history import last_met
from lamina.scoring.retrievers.tokens import Tokens
from lamina.training.retrieval.towers.settings import TowerSettings

PAIRS, USERS, ITEMS = "pairs", "users.parquet", "items.parquet"
ROWS_A_SHARD = 1_000_000
Ints = NDArray[np.int64]


class NoExamples(LaminaError):
    """There is nothing to train towers on."""


@dataclass(frozen=True)
class Examples:
    """user, item: int64[n], places of the pairs. histories, user_words, item_words: int64[rows, most], places or
    buckets from 1 on, 0 where there are no more. users, items: ids.
    """

    user: Ints
    item: Ints
    users: list[str]
    items: list[str]
    histories: Ints
    user_words: Ints
    item_words: Ints


def write_examples(
    seen: Interactions,
    folder: Path,
    settings: TowerSettings,
    user_words: Tokens,
    item_words: Tokens,
    rows_a_shard: int = ROWS_A_SHARD,
) -> None:
    """Write `seen`, each pair once, and what is known of its users and items into `folder`, which is created.

    Raises: NoExamples: there are none.
    """
    pairs = seen.seen().tocoo()
    if not pairs.nnz:
        raise NoExamples("no interaction to train towers on: give some")
    (folder / PAIRS).mkdir(parents=True)
    # By chance, so that each shard holds some of everything.
    order = np.random.default_rng(settings.seed).permutation(pairs.nnz)
    user, item = pairs.row[order].astype(np.int64), pairs.col[order].astype(np.int64)
    for shard, begin in enumerate(range(0, len(order), rows_a_shard)):
        rows = slice(begin, begin + rows_a_shard)
        pq.write_table(pa.table({"user": user[rows], "item": item[rows]}), folder / PAIRS / f"part-{shard:05}.parquet")
    who, what = last_met(seen, settings.longest)
    ends = np.searchsorted(who, np.arange(len(seen.users) + 1))
    histories = [what[ends[row] : ends[row + 1]] for row in range(len(seen.users))]
    buckets = (
        words.buckets(ids, settings.buckets) for words, ids in ((user_words, seen.users), (item_words, seen.items))
    )
    users, items = (pa.array(each, pa.list_(pa.int64())) for each in buckets)
    pq.write_table(
        pa.table({"id": seen.users.tolist(), "history": pa.array(histories, pa.list_(pa.int64())), "words": users}),
        folder / USERS,
    )
    pq.write_table(pa.table({"id": seen.items.tolist(), "words": items}), folder / ITEMS)
    settings.write(folder)


def read_examples(folder: Path) -> Examples:
    """What `write_examples` wrote; shards in the order of their names."""
    shards = [pq.read_table(file) for file in sorted((folder / PAIRS).glob("*.parquet"))]
    user, item = (np.concatenate([shard[name].to_numpy() for shard in shards]) for name in ("user", "item"))
    users, items = pq.read_table(folder / USERS), pq.read_table(folder / ITEMS)
    return Examples(
        user,
        item,
        users["id"].to_pylist(),
        items["id"].to_pylist(),
        _padded(users["history"]),
        _padded(users["words"]),
        _padded(items["words"]),
    )


def _padded(lists: pa.ChunkedArray) -> Ints:
    """Each list's numbers, one added, and then zeros."""
    rows = lists.to_pylist()
    found = np.zeros((len(rows), max(1, *(len(row) for row in rows))), np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = np.array(row, np.int64) + 1
    return found

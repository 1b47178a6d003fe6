"""Third-party interactions for the benchmark of retrievers, from the folder of the setting `LAMINA_DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from lamina.evaluation.holdout import at_least
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.tokens import Tokens, banded
from lamina.settings import load_settings

AGES = (18.0, 25.0, 35.0, 45.0, 50.0, 56.0)
"""Edges of the bands of age that MovieLens-1M comes in."""
FEWEST = 10
"""Interactions of a user and of an item in RecBole's MovieLens-1M."""


class Absent(NamedTuple):
    """A set that is not there, and what to do."""

    reason: str


class Followed(NamedTuple):
    """Interactions, and who follows whom: csr_array[users, users], ones."""

    seen: Interactions
    follows: Any


class Words(NamedTuple):
    """What is known of users and items beside who met what."""

    users: Tokens
    items: Tokens


def movielens_100k() -> Interactions | Absent:
    """100,000 ratings as weights, with times, in the order of u.data."""
    file = _file("ml-100k/ratings.parquet")
    if isinstance(file, Absent):
        return file
    rows = _columns(file)
    return Interactions.of(rows["user_id"], rows["item_id"], rows["rating"], rows["timestamp"])


def movielens_1m() -> Interactions | Absent:
    """Pairs rated 3 or more, of users and items with ten of them at least: 834,449, as in RecBole. No times."""
    file = _file("ml-1m/interactions.parquet")
    if isinstance(file, Absent):
        return file
    rows = _columns(file)
    liked = np.flatnonzero(rows["rating_ge3"])
    return at_least(Interactions.of(rows["user_id"][liked], rows["item_id"][liked]), FEWEST)


def genres_1m() -> dict[str, str]:
    """The genre that MovieLens-1M names first of each item, where the set is there."""
    file = _file("ml-1m/items.parquet")
    if isinstance(file, Absent):
        return {}
    rows = _columns(file)
    return {
        str(item): str(genres).split("|", 1)[0] for item, genres in zip(rows["item_id"], rows["genres"], strict=True)
    }


def words_100k() -> Words:
    """Of MovieLens-100k: band of age, gender and occupation of users, genres and year of films."""
    users, items = (pq.read_table(_folder() / f"ml-100k/{name}.parquet").to_pylist() for name in ("users", "items"))
    genres = list(items[0])[list(items[0]).index("unknown") :]
    ages = banded("age", np.array([row["age"] for row in users], np.float64), AGES)
    return Words(
        Tokens.of((row["user_id"], (age, *_person(row))) for row, age in zip(users, ages, strict=True)),
        Tokens.of(
            (row["item_id"], (f"year={(row['release_date'] or '?')[-4:]}", *(f"genre={g}" for g in genres if row[g])))
            for row in items
        ),
    )


def words_1m() -> Words:
    """Of MovieLens-1M: the same; ages come in bands, and years stand behind the titles."""
    users, items = (pq.read_table(_folder() / f"ml-1m/{name}.parquet").to_pylist() for name in ("users", "items"))
    return Words(
        Tokens.of((row["user_id"], (f"age={row['age']}", *_person(row))) for row in users),
        Tokens.of(
            (row["item_id"], (f"year={row['title'].strip()[-5:-1]}", *(f"genre={g}" for g in row["genres"].split("|"))))
            for row in items
        ),
    )


def _person(row: dict[str, Any]) -> tuple[str, str]:
    return f"gender={row['gender']}", f"occupation={row['occupation']}"


def lastfm() -> Followed | Absent:
    """Who listened to which artist, each pair once and the number of plays left out, and who is whose friend."""
    file, friends = _file("lastfm-hetrec/user_artists.parquet"), _file("lastfm-hetrec/user_friends.parquet")
    if isinstance(file, Absent):
        return file
    if isinstance(friends, Absent):
        return friends
    rows, pairs = _columns(file), _columns(friends)
    seen = Interactions.of(rows["user_id"], rows["artist_id"])
    graph = Interactions.of(pairs["user_id"], pairs["friend_id"])
    # Both sides over the users of the interactions: a row for who follows, a column for who is followed.
    found = graph.onto(seen.users).seen().tocoo()
    place = np.searchsorted(seen.users, graph.users)
    return Followed(seen, csr_array((found.data, (place[found.row], found.col)), shape=(len(seen.users),) * 2))


def _file(name: str) -> Path | Absent:
    file = _folder() / name
    return file if file.exists() else Absent(f"{file} is absent: set LAMINA_DATA to the folder that holds recsys")


def _folder() -> Path:
    return load_settings().data / "recsys"


def _columns(file: Path) -> dict[str, Any]:
    table = pq.read_table(file)
    return {name: table[name].to_numpy() for name in table.column_names if name != "ge3_split"}

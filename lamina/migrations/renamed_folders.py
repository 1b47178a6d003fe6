"""A topic's new name in the lake: its folders take it, and its days no longer count as archived from Kafka.

Offsets are those of the old topic. The folder of a day's archive becomes one like those of imports, under a name that
says where it is from: the new topic is archived from its own beginning, and a rerun of an old day replaces nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from functools import partial
from typing import Any

import orjson

from lamina.errors import MigrationBlocked
from lamina.lake import layout
from lamina.lake.files import children, move_all, name_of, remove
from lamina.lake.write import open_lake
from lamina.migrations.step import Task


def folders_of(lake: str, topic: str) -> Iterator[str]:
    """URLs of the folders that hold what is kept of `topic`: events, those kept aside, verdicts, rejected rows."""
    yield layout.topic(lake, topic)
    for of_a_day in (layout.quarantine(lake, topic, date.min), layout.quality(lake, topic, date.min)):
        yield of_a_day.rsplit("/", 1)[0]
    yield layout.rejects(lake, topic, "any").rsplit("/", 1)[0]


def renamed_folders(lake: str, old: str, new: str, *, stay: Collection[str] = ()) -> list[Task]:
    """A task for each folder of the lake that is called by the topic's old name.

    Args: stay: days, as in `2018-08-08`, whose folders are another topic's, which has the name now.
    """
    found = []
    for origin, target in zip(folders_of(lake, old), folders_of(lake, new), strict=True):
        fs, path = open_lake(origin)
        if any(fs.isfile(entry) or fs.find(entry) for entry in children(fs, path) if _day(entry) not in stay):
            found.append(Task(f"move {origin} to {target}", partial(_rename, origin, target, old, stay)))
    return found


def days_with(lake: str, topic: str, column: str) -> frozenset[str]:
    """Days, as in `2018-08-08`, of which the lake keeps events of `topic` that have a `column`."""
    import pyarrow.parquet as pq

    found = set()
    for folder in (layout.topic(lake, topic), layout.quarantine(lake, topic, date.min).rsplit("/", 1)[0]):
        fs, path = open_lake(folder)
        for day in children(fs, path):
            for file in fs.find(day):
                if str(file).endswith(".parquet"):
                    with fs.open(file, "rb") as source:
                        if column in pq.read_schema(source).names:
                            found.add(_day(day))
    return frozenset(found)


def _day(path: str) -> str:
    return name_of(path).removeprefix(layout.ingested(date.min).removesuffix(date.min.isoformat()))


def archived_ends(lake: str, old: str, new: str) -> dict[int, int]:
    """Up to which offset of each partition the lake holds the old topic, whether its folders were moved or not."""
    found: dict[int, int] = {}
    for topic, name in ((old, layout.ORIGIN), (new, f"{layout.ORIGIN}-{old}")):
        for folder in folders_of(lake, topic):
            fs, path = open_lake(folder)
            for day in children(fs, path):
                file = f"{day}/{name}/{layout.OFFSETS}"
                if fs.exists(file):
                    for partition, (_, end) in orjson.loads(fs.cat_file(file))["offsets"].items():
                        found[int(partition)] = max(end, found.get(int(partition), 0))
    return found


def _rename(origin: str, target: str, old: str, stay: Collection[str]) -> None:
    fs, path = open_lake(origin)
    place = open_lake(target)[1]
    mine = [entry for entry in children(fs, path) if _day(entry) not in stay]
    for day in mine:
        archived = f"{day}/{layout.ORIGIN}"
        if fs.exists(archived):
            move_all(fs, archived, f"{archived}-{old}")
    if len(mine) < len(children(fs, path)):
        fs.makedirs(place, exist_ok=True)
        for entry in mine:
            _put(fs, entry, f"{place}/{name_of(entry)}")
    elif fs.exists(place):
        _merge(fs, path, place)
    else:
        fs.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
        move_all(fs, path, place)


def _merge(fs: Any, path: str, place: str) -> None:
    """Put what is in `path` beside what the new name holds by now; a name that both have is somebody's to decide on."""
    for entry in children(fs, path):
        _put(fs, entry, f"{place}/{name_of(entry)}")
    remove(fs, path)


def _put(fs: Any, entry: str, target: str) -> None:
    if not fs.exists(target):
        move_all(fs, entry, target)
    elif fs.isdir(entry) and fs.isdir(target):
        _merge(fs, entry, target)
    elif fs.isdir(entry) or fs.isdir(target) or fs.cat_file(entry) != fs.cat_file(target):
        raise MigrationBlocked(
            f"{entry} cannot be moved: there is {target} already. Remove the one that is not wanted, and run "
            "`lamina migrate` again"
        )
    else:
        remove(fs, entry)

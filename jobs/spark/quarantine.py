"""Keeping a day's events aside, and putting them back. A rerun of the archive may have written anew what is aside."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow.parquet as pq

from lamina.lake import layout
from lamina.lake.files import children, move_all, name_of, remove
from lamina.lake.manifest import archived_run, read_manifest
from lamina.lake.write import open_lake


class Day:
    """The partition of one topic and day: what is in its place, and what is kept aside.

    Entries are files of imports and the folder of the archive; of two with one name that in its place counts.
    """

    def __init__(self, lake: str, topic: str, day: date) -> None:
        self._of = lake, topic, day
        self.fs, self.place = open_lake(layout.events(lake, topic, day))
        self.aside = open_lake(layout.quarantine(lake, topic, day))[1]

    def files(self) -> list[str]:
        """Parquet files of every entry, wherever it lies, as paths of the file system."""
        held, aside = self._entries(self.place), self._entries(self.aside)
        entries = {**aside, **held}
        return sorted(str(f) for entry in entries.values() for f in self._files(entry))

    def messages(self) -> tuple[int, int]:
        """How many messages of Kafka the archive has read for the day, and how many of them became dead letters."""
        found = read_manifest(*self._of)
        return int(found.get("read", 0)), int(found.get("dead", 0))

    @property
    def run(self) -> str | None:
        """Which archive of the day lies there; None where there is none, or one of before this was written down."""
        return archived_run(*self._of)

    def has_rows(self) -> bool:
        """Whether there is any event, in place or kept aside."""
        for file in self.files():
            with self.fs.open(file, "rb") as source:
                if pq.read_metadata(source).num_rows:
                    return True
        return False

    def texts(self, column: str) -> set[str]:
        """The different values of a column of texts."""
        found: set[str] = set()
        for file in self.files():
            with self.fs.open(file, "rb") as source:
                values = pq.ParquetFile(source, read_dictionary=[column]).read(columns=[column]).column(column)
                found.update(value for value in values.unique().to_pylist() if value is not None)
        return found

    def set_aside(self) -> None:
        """Move every entry to the quarantine, where downstream jobs do not look."""
        self._move(self.place, self.aside, replace=True)

    def restore(self) -> None:
        """Move every entry to its place; what was written there since stays."""
        self._move(self.aside, self.place, replace=False)

    @property
    def is_aside(self) -> bool:
        """Whether anything is kept aside."""
        return bool(self._entries(self.aside))

    def _move(self, origin: str, target: str, *, replace: bool) -> None:
        entries = self._entries(origin)
        if not entries:
            return
        if not self.fs.exists(target):
            self.fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            move_all(self.fs, origin, target)
            return
        there = self._entries(target)
        for name, entry in entries.items():
            if name in there and not replace:
                continue
            if name in there:
                remove(self.fs, there[name])
            move_all(self.fs, entry, f"{target}/{name}")
        if self.fs.exists(origin):
            remove(self.fs, origin)

    def _entries(self, folder: str) -> dict[str, str]:
        names = {name_of(path): path for path in children(self.fs, folder)}
        return {name: path for name, path in names.items() if not name.startswith(".")}

    def _files(self, entry: str) -> list[Any]:
        found = self.fs.find(entry)
        return [f for f in found if f.endswith(".parquet") and not f.rsplit("/", 1)[1].startswith((".", "_"))]

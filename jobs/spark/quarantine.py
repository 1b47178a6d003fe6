"""Keeping a day's events aside, and putting them back. A rerun of the archive may have written anew what is aside."""

from __future__ import annotations

from datetime import date
from typing import Any

from lamina.lake import layout
from lamina.lake.write import open_lake


class Day:
    """The partition of one topic and day: what is in its place, and what is kept aside.

    Entries are files of imports and the folder of the archive; of two with one name that in its place counts.
    """

    def __init__(self, lake: str, topic: str, day: date) -> None:
        self.fs, self.place = open_lake(layout.events(lake, topic, day))
        self.aside = open_lake(layout.quarantine(lake, topic, day))[1]

    def files(self) -> list[str]:
        """Parquet files of every entry, wherever it lies, as paths of the file system."""
        held, aside = self._entries(self.place), self._entries(self.aside)
        entries = {**aside, **held}
        return sorted(str(f) for entry in entries.values() for f in self._files(entry))

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
            self.fs.mv(origin, target, recursive=True)
            return
        there = self._entries(target)
        for name, entry in entries.items():
            if name in there and not replace:
                continue
            if name in there:
                self.fs.rm(there[name], recursive=True)
            self.fs.mv(entry, f"{target}/{name}", recursive=True)
        self.fs.rm(origin, recursive=True)

    def _entries(self, folder: str) -> dict[str, str]:
        if not self.fs.exists(folder):
            return {}
        paths = (str(path).rstrip("/") for path in self.fs.ls(folder, detail=False))
        names: dict[str, str] = {path.rsplit("/", 1)[1]: path for path in paths}
        return {name: path for name, path in names.items() if not name.startswith(".")}

    def _files(self, entry: str) -> list[Any]:
        found = self.fs.find(entry)
        return [f for f in found if f.endswith(".parquet") and not f.rsplit("/", 1)[1].startswith((".", "_"))]

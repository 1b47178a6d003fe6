"""Replacing partitions: files are written into a staging folder beside the partition and moved into place last.

Two promises. A reader never sees half a file. Writing the same thing again leaves the same thing, not twice of it.
On a local disk a whole partition is swapped by renaming folders. An object store has no rename: there new files are
put under their own names first and the old ones deleted after, so that a reader may for a moment see both (events are
made unique by id when they are read) but never neither.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.lake import files
from lamina.lake.layout import STAGING_PREFIX, checked_name

COMPRESSION = "zstd"


def open_lake(url: str) -> tuple[Any, str]:
    """The fsspec file system of `url` and the path of `url` on it; what a killed writer left there is put right."""
    fs, path = fsspec.core.url_to_fs(url)
    path = str(path).rstrip("/")
    if files.renames_folders(fs):
        files.recover(path)
    return fs, path


def write_file(fs: Any, path: str, table: pa.Table) -> None:
    """Write `table` as one parquet file."""
    with fs.open(path, "wb") as sink:
        pq.write_table(table, sink, compression=COMPRESSION)


def write_partition(url: str, table: pa.Table) -> int:
    """Replace the whole partition at `url` by `table`; returns its rows."""
    with replacing(url) as staging:
        fs, path = open_lake(staging)
        write_file(fs, f"{path}/part-{uuid.uuid4().hex[:8]}.parquet", table)
    return int(table.num_rows)


@contextmanager
def replacing(url: str) -> Iterator[str]:
    """Gives the URL of an empty folder; when the block ends, its files take the place of those at `url`.

    A block that raises leaves `url` as it was.
    """
    fs, path = open_lake(url)
    with _staging_in(fs, path.rsplit("/", 1)[0]) as staging:
        yield str(fs.unstrip_protocol(staging))
        _put(fs, staging, path)


@contextmanager
def replacing_each(url: str) -> Iterator[str]:
    """Gives the URL of an empty folder; when the block ends, each folder in it takes the place of the one of its name
    in `url`, one after the other. Others stay.

    A block that raises leaves `url` as it was.
    """
    fs, root = open_lake(url)
    with _staging_in(fs, root) as staging:
        yield str(fs.unstrip_protocol(staging))
        for folder in files.children(fs, staging):
            _put(fs, folder, f"{root}/{files.name_of(folder)}")


@contextmanager
def _staging_in(fs: Any, parent: str) -> Iterator[str]:
    """Path of an empty folder in `parent`, of which nothing is left at the end."""
    staging = f"{parent}/{STAGING_PREFIX}{uuid.uuid4().hex}"
    fs.makedirs(staging, exist_ok=True)
    try:
        yield staging
    finally:
        if fs.exists(staging):
            files.remove(fs, staging)


def _put(fs: Any, staging: str, path: str) -> None:
    if files.renames_folders(fs):
        files.swap(staging, path, uuid.uuid4().hex)
    else:
        _swap_files(fs, staging, path)


def _swap_files(fs: Any, staging: str, path: str) -> None:
    """Put the files of `staging` in the place of those of `path`, one by one."""
    old = {str(file) for file in (fs.find(path) if fs.exists(path) else ())}
    # Names that begin with `_` describe the data: they come last.
    for file in sorted(fs.find(staging), key=lambda f: (f.rsplit("/", 1)[1].startswith("_"), f)):
        target = f"{path}/{file.rsplit('/', 1)[1]}"
        files.move(fs, file, target)
        old.discard(target)
    for file in sorted(old):
        fs.rm_file(file)


@dataclass
class SourceWriter:
    """Files of one `source` in many partitions under the folder `url`, all moved into place by `commit`.

    Unlike `write_partition` it leaves the files of other sources alone, so that two imported files and the archive of
    Kafka can share a day. Its own files of an earlier run are replaced, in every partition that `owns` accepts (a
    partial import must not delete what another part of the same source wrote). Use it as a context manager: leaving
    without `commit` drops what was staged.

    Args: url: folder of the partitions; source: name that starts the files; owns: which partition names to clean.
    Raises: NameRefused: when the source's name could stand for other files than its own.
    """

    url: str
    source: str
    owns: Callable[[str], bool] = lambda partition: True
    _staged: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        checked_name("source", self.source)
        self._fs, self._root = open_lake(self.url)
        self._staging = f"{self._root}/{STAGING_PREFIX}{uuid.uuid4().hex}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def add(self, partition: str, table: pa.Table) -> None:
        """Stage `table` as one more file of `partition`, such as `ingested=2018-04-01`."""
        names = self._staged.setdefault(partition, [])
        folder = f"{self._staging}/{partition}"
        if not names:
            self._fs.makedirs(folder, exist_ok=True)
        name = f"{self.source}-{len(names):05d}.parquet"
        write_file(self._fs, f"{folder}/{name}", table)
        names.append(name)

    def commit(self) -> int:
        """Move the staged files into place and delete this source's older ones; returns the number of partitions."""
        for partition, names in self._staged.items():
            self._fs.makedirs(f"{self._root}/{partition}", exist_ok=True)
            for name in names:
                files.move(self._fs, f"{self._staging}/{partition}/{name}", f"{self._root}/{partition}/{name}")
        self._delete_stale()
        self.abort()
        return len(self._staged)

    def abort(self) -> None:
        """Drop what is staged and not committed."""
        if self._fs.exists(self._staging):
            files.remove(self._fs, self._staging)

    def _delete_stale(self) -> None:
        own = re.compile(rf"{re.escape(self.source)}-\d{{5}}\.parquet")
        for folder in files.children(self._fs, self._root):
            partition = files.name_of(folder)
            if not self._fs.isdir(folder) or not self.owns(partition):
                continue
            for file in files.children(self._fs, folder):
                name = files.name_of(file)
                if own.fullmatch(name) and name not in self._staged.get(partition, ()):
                    self._fs.rm_file(file)

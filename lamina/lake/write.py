"""Replacing partitions: files are written into a staging folder beside the partition and moved into place last.

Two promises. A reader never sees half a file. Writing the same thing again leaves the same thing, not twice of it.
On a local disk a whole partition is swapped by renaming folders. An object store has no rename: there new files are
put under their own names first and the old ones deleted after, so that a reader may for a moment see both (events are
made unique by id when they are read) but never neither.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.lake.layout import STAGING_PREFIX

COMPRESSION = "zstd"


def open_lake(url: str) -> tuple[Any, str]:
    """The fsspec file system of `url` and the path of `url` on it."""
    fs, path = fsspec.core.url_to_fs(url)
    return fs, str(path).rstrip("/")


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
    parent, name = path.rsplit("/", 1)
    token = uuid.uuid4().hex
    staging = f"{parent}/{STAGING_PREFIX}{token}"
    fs.makedirs(staging, exist_ok=True)
    try:
        yield str(fs.unstrip_protocol(staging))
        _swap(fs, staging, path, f"{parent}/{STAGING_PREFIX}old-{name}-{token}")
    finally:
        if fs.exists(staging):
            fs.rm(staging, recursive=True)


def _swap(fs: Any, staging: str, path: str, aside: str) -> None:
    """Put the files of `staging` in the place of those of `path`."""
    if _renames_folders(fs):
        if fs.exists(path):
            fs.mv(path, aside)
        fs.mv(staging, path)
        if fs.exists(aside):
            fs.rm(aside, recursive=True)
        return
    old = {str(file) for file in (fs.find(path) if fs.exists(path) else ())}
    # Names that begin with `_` describe the data: they come last.
    for file in sorted(fs.find(staging), key=lambda f: (f.rsplit("/", 1)[1].startswith("_"), f)):
        target = f"{path}/{file.rsplit('/', 1)[1]}"
        fs.mv(file, target)
        old.discard(target)
    if old:
        fs.rm(sorted(old))


def _renames_folders(fs: Any) -> bool:
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return protocol in ("file", "local")


@dataclass
class SourceWriter:
    """Files of one `source` in many partitions under the folder `url`, all moved into place by `commit`.

    Unlike `write_partition` it leaves the files of other sources alone, so that two imported files and the archive of
    Kafka can share a day. Its own files of an earlier run are replaced, in every partition that `owns` accepts (a
    partial import must not delete what another part of the same source wrote). Use it as a context manager: leaving
    without `commit` drops what was staged.

    Args: url: folder of the partitions; source: name that starts the files; owns: which partition names to clean.
    """

    url: str
    source: str
    owns: Callable[[str], bool] = lambda partition: True
    _staged: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
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
        files = self._staged.setdefault(partition, [])
        folder = f"{self._staging}/{partition}"
        if not files:
            self._fs.makedirs(folder, exist_ok=True)
        name = f"{self.source}-{len(files):05d}.parquet"
        write_file(self._fs, f"{folder}/{name}", table)
        files.append(name)

    def commit(self) -> int:
        """Move the staged files into place and delete this source's older ones; returns the number of partitions."""
        for partition, files in self._staged.items():
            self._fs.makedirs(f"{self._root}/{partition}", exist_ok=True)
            for name in files:
                self._move(f"{self._staging}/{partition}/{name}", f"{self._root}/{partition}/{name}")
        self._delete_stale()
        self.abort()
        return len(self._staged)

    def abort(self) -> None:
        """Drop what is staged and not committed."""
        if self._fs.exists(self._staging):
            self._fs.rm(self._staging, recursive=True)

    def _move(self, origin: str, target: str) -> None:
        # On a local disk the move is one rename, which also replaces a file of the same name.
        self._fs.mv(origin, target)

    def _delete_stale(self) -> None:
        for file in self._fs.glob(f"{self._root}/*/{self.source}-[0-9][0-9][0-9][0-9][0-9].parquet"):
            partition, name = str(file).rsplit("/", 2)[1:]
            if partition.startswith(STAGING_PREFIX) or not self.owns(partition):
                continue
            if name not in self._staged.get(partition, ()):
                self._fs.rm(file)

"""Answers in the columns that they had before there was one form for all systems: their files become envelopes.

File by file, each written beside the old one and renamed over it: who reads meanwhile finds either, and a reader of
answers refuses what is not led over yet. A run that was ended left whole files behind, and the next does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.contracts.served import Served
from lamina.errors import ContractError, MigrationBlocked
from lamina.lake import layout
from lamina.lake.answers import SHADOW
from lamina.lake.files import children, move, name_of
from lamina.lake.schemas import POSITION_FIELDS, in_lake, row_of, schema_of
from lamina.lake.write import COMPRESSION, open_lake
from lamina.migrations.step import Task

Read = Callable[[bytes], Served]
"""An answer from its JSON as an older version wrote it; raises `ContractError` where it is none."""
AT_ONCE = 10_000
"""Rows in memory at a time."""


def envelopes(lake: str, topics: Sequence[str], read: Read, json_columns: Sequence[str]) -> list[Task]:
    """A task for each day of `topics` that holds answers in older columns, in place or kept aside by the gate.

    Args: topics: the topic's names, the old ones first; read: makes the envelope of a row; json_columns: the columns
    of old rows that hold JSON.
    """
    found = []
    for topic in topics:
        for of_topic in (layout.topic(lake, topic), layout.quarantine(lake, topic, date.min).rsplit("/", 1)[0]):
            fs, path = open_lake(of_topic)
            for day in children(fs, path):
                if old := list(_old_files(fs, day)):
                    what = f"write {len(old)} files of {day} anew, as envelopes"
                    found.append(Task(what, partial(_write_all, fs, old, read, tuple(json_columns))))
    return found


def _old_files(fs: Any, day: str) -> Iterator[str]:
    """Parquet files of a day that are no envelopes; what a writer has staged is passed over."""
    for file in sorted(map(str, fs.find(day))):
        hidden = any(part.startswith((".", "_")) for part in file.removeprefix(day).split("/"))
        if file.endswith(".parquet") and not hidden:
            with fs.open(file, "rb") as source:
                if SHADOW not in pq.read_schema(source).names:
                    yield file


def _write_all(fs: Any, files: Sequence[str], read: Read, json_columns: Sequence[str]) -> None:
    for file in files:
        # One name for every attempt: what an ended run has left is written over.
        staged = f"{file.rsplit('/', 1)[0]}/{layout.STAGING_PREFIX}{name_of(file)}"
        schema = in_lake(schema_of(Served))
        with fs.open(file, "rb") as source, fs.open(staged, "wb") as sink:
            with pq.ParquetWriter(sink, schema, compression=COMPRESSION) as writer:
                for batch in pq.ParquetFile(source).iter_batches(AT_ONCE):
                    rows = [_envelope(row, read, json_columns, file) for row in batch.to_pylist()]
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        move(fs, staged, file)


def _envelope(row: Mapping[str, Any], read: Read, json_columns: Sequence[str], file: str) -> dict[str, Any]:
    """An old row as one of the envelope's columns, in its place in Kafka."""
    place = {field.name: row.get(field.name) for field in POSITION_FIELDS}
    own = {name: value for name, value in row.items() if name not in place}
    for name in json_columns:
        if own.get(name) is not None:
            own[name] = orjson.Fragment(own[name])
    try:
        return {**row_of(read(orjson.dumps(own))), **place}
    except ContractError as error:
        raise MigrationBlocked(
            f"{file} holds a row that is no answer ({error}): remove it or mend it, and run `lamina migrate` again"
        ) from error

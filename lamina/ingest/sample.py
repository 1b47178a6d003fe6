"""The first rows of a file that nobody has described yet, and how it is written."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from lamina.errors import MappingError
from lamina.ingest.bytes_of import blocks
from lamina.ingest.csv_rows import SEPARATORS
from lamina.ingest.file_format import FileFormat
from lamina.ingest.reader import kind_of, read_batches
from lamina.lake.ids import ids_of

ROWS = 2000
_BYTES = 1 << 20
_LINES = 50


@dataclass(frozen=True)
class Sample:
    """Rows of a file, and the format by which they were read."""

    format: FileFormat
    table: pa.Table

    def texts(self, name: str) -> list[str]:
        """Values of a column as text, without those that are nothing."""
        column = self.table[name]
        if pa.types.is_nested(column.type):
            return []
        if not pa.types.is_floating(column.type):
            column = column.cast(pa.string(), safe=False)
        return [text for text in ids_of(column).texts.to_pylist() if text]


def sample(path: Path) -> Sample:
    """Up to `ROWS` rows of the file at `path`.

    Raises: MappingError: it is missing, empty, or of a kind that is not read.
    """
    if not path.is_file():
        raise MappingError(f"no file {path}: give a CSV, JSON or parquet file")
    found = _format(path)
    for batch in read_batches(path, found):
        if batch.table.num_rows:
            return Sample(found, batch.table.slice(0, ROWS))
    raise MappingError(f"{path.name} has no row that can be read: there is nothing to guess from")


def _format(path: Path) -> FileFormat:
    with path.open("rb") as file:
        start = file.read(16).lstrip()
    try:
        kind, said = kind_of(path, FileFormat()), False
    except MappingError:
        kind, said = ("parquet" if start.startswith(b"PAR1") else "json" if start[:1] in (b"{", b"[") else "csv"), True
    written: dict[str, object] = {"kind": kind} if said else {}
    if kind == "csv":
        text = next(blocks(path, None, _BYTES), b"")
        encoding = _encoding(text)
        separator, names = _separator(text.decode(encoding or "utf-8", errors="replace"))
        written |= {"encoding": encoding} if encoding else {}
        written |= {"separator": separator} if separator != SEPARATORS[0] else {}
        written |= {"columns": names} if names else {}
    return FileFormat.model_validate(written)


def _encoding(text: bytes) -> str | None:
    try:
        # The last character may be cut.
        text[: text.rfind(b"\n") + 1 or None].decode()
    except UnicodeDecodeError:
        return "cp1252" if _decodes(text, "cp1252") else "latin-1"
    return None


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _separator(text: str) -> tuple[str, list[str]]:
    """What separates most values alike in all rows, and names for the columns where the first row names none."""
    best: tuple[int, int, str, list[str]] = (0, 0, SEPARATORS[0], [])
    for place, separator in enumerate(SEPARATORS):
        try:
            rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), _LINES))
        except csv.Error:
            continue
        rows = [row for row in rows if row][: -1 if len(rows) > 1 and len(rows) < _LINES else None]
        if not rows:
            continue
        columns, alike = Counter(map(len, rows)).most_common(1)[0]
        if columns > 1:
            best = max(best, (alike * columns, -place, separator, rows[0]))
    header = best[3]
    unnamed = bool(header) and sum(_is_value(name) for name in header) * 2 >= len(header)
    return best[2], [f"column_{number}" for number in range(1, len(header) + 1)] if unnamed else []


def _is_value(text: str) -> bool:
    """Whether a text is a number or has one at its start: names of columns have not."""
    return text[:1].isdigit() or (text[:1] in "+-." and text[1:2].isdigit())

"""CSV files cut into rows by lamina, and into values by Arrow.

Arrow reads values fast, but a quote that is never closed swallows rows, and a line's number is lost. So rows are found
first: a line without quotes is one, and so is a line whose quotes stand at both ends of its fields; their separators
are counted for all lines at once. A line with other quotes is read by Python's `csv`, over as many lines as it needs. A
row that does not come out is handed on as it stands, and reading goes on with the line after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lamina.errors import MappingError
from lamina.ingest.batches import Batch
from lamina.ingest.bytes_of import blocks
from lamina.ingest.csv_cutter import MAX_ROW_BYTES, STRAY, Cutter, row_values

SEPARATORS = (",", ";", "|", "\t")


def csv_batches(
    path: Path,
    separator: str | None = None,
    encoding: str | None = None,
    names: Sequence[str] = (),
    wanted: Sequence[str] = (),
) -> Iterator[Batch]:
    """The rows of a CSV file, values as text, empty ones null.

    Args: separator: where None, a comma, or whichever of `SEPARATORS` gives the header the columns `wanted`; names: the
    columns of a file without a header.

    Raises: MappingError: the file is empty, or not of its encoding.
    """
    cutter: Cutter | None = None
    rest = b""
    for block in _and_last(blocks(path, encoding)):
        last = block is None
        rest += block or b""
        if cutter is None:
            header_end = _header_end(rest, last)
            if header_end is None and not last:
                if len(rest) > MAX_ROW_BYTES:
                    raise MappingError(f"{path.name}, line 1: {STRAY} in the header, or it is no CSV file")
                continue
            cutter, skipped = _begin(path, rest, header_end, separator, names, wanted)
            rest = rest[skipped:]
            yield cutter.batch([], 0)
        rest, batch = cutter.cut(rest, last)
        if batch.rows:
            yield batch


def _and_last(parts: Iterator[bytes]) -> Iterator[bytes | None]:
    yield from parts
    yield None


def _header_end(text: bytes, last: bool) -> int | None:
    """Where the first line that holds anything ends, its quotes closed."""
    end, start = -1, 0
    while (end := text.find(b"\n", end + 1)) >= 0:
        if not text[start:end].strip():
            start = end + 1
        elif text.count(b'"', start, end) % 2 == 0:
            return end + 1
    return len(text) if last else None


def _begin(
    path: Path,
    text: bytes,
    header_end: int | None,
    separator: str | None,
    names: Sequence[str],
    wanted: Sequence[str],
) -> tuple[Cutter, int]:
    header = text[:header_end]
    if not header.strip():
        raise MappingError(f"{path.name} is empty: not even a header is there")
    try:
        line = header.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise MappingError(
            f"{path.name}, line 1, byte {error.start + 1}: is not UTF-8; say encoding in the mapping's file, such as "
            "latin-1, cp1252 or utf-16"
        ) from None
    if "\0" in line:
        raise MappingError(
            f"{path.name}, line 1: holds zero bytes; say encoding in the mapping's file, such as utf-16-le"
        )
    if names:
        return Cutter(path.name, separator or _separator(line, (), len(names)), list(names), 1), 0
    separator = separator or _separator(line, wanted, 0)
    found = row_values(line, separator)
    if not found:
        raise MappingError(f"{path.name}, line 1: the header's quotes are not CSV: a quote within quotes is doubled")
    return Cutter(path.name, separator, found, header.count(b"\n") + 1), len(header)


def _separator(line: str, wanted: Sequence[str], count: int) -> str:
    """The separator that gives the line the columns wanted, or so many columns."""
    for candidate in SEPARATORS:
        found = row_values(line, candidate)
        if (wanted and set(wanted) <= set(found)) or (count and len(found) == count):
            return candidate
    return SEPARATORS[0]

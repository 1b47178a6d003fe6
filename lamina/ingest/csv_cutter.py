"""The text of a CSV file cut into rows, block by block, lines and numbers kept; what comes out as no row is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from lamina.errors import MappingError
from lamina.ingest.batches import Batch, Unreadable

MAX_ROW_BYTES = 1 << 20
"""A quote that is not closed within so many bytes is a stray one."""
STRAY = "a quote is opened and not closed"
_QUOTE, _RETURN, _NEWLINE = 0x22, 0x0D, 0x0A


def row_values(line: str, separator: str) -> list[str]:
    """Values of a row by itself; none where its quotes do not fit the separator."""
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=separator, strict=True), [])
    except csv.Error:
        return []


@dataclass
class _Rows:
    """Rows of one block: text for Arrow, their numbers and lines, and what is no row."""

    parts: list[bytes] = field(default_factory=list)
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    lines: list[NDArray[np.int64]] = field(default_factory=list)
    bad: list[Unreadable] = field(default_factory=list)
    rows: int = 0


class Cutter:
    """Cuts text into rows, and remembers how many rows and lines there were."""

    def __init__(self, name: str, separator: str, columns: list[str], line: int) -> None:
        self._name, self._separator, self._columns = name, separator, columns
        self._line, self._number = line, 1
        self._byte = ord(separator)
        self._text = b""
        self._starts = self._ends = np.empty(0, np.int64)

    def cut(self, text: bytes, last: bool) -> tuple[bytes, Batch]:
        """What is left over, the start of a row, and the rows before it."""
        if last and text and not text.endswith(b"\n"):
            text += b"\n"
        whole = text.rfind(b"\n") + 1
        text, tail = text[:whole], text[whole:]
        raw = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero(raw == _NEWLINE)
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        self._text, self._starts, self._ends = text, starts, ends
        quotes = np.flatnonzero(raw == _QUOTE)
        fields = self._fields(raw, quotes)
        special = self._special(raw, quotes)
        rows = _Rows()
        done = 0
        for place in special.tolist():
            if place < done:
                continue
            self._plain(rows, done, place, fields)
            used = self._quoted(rows, place, last)
            done = place + used
            if not used:
                break
        else:
            self._plain(rows, done, len(ends), fields)
            done = len(ends)
        rest = text[int(starts[done]) :] + tail if done < len(ends) else tail
        self._line += done
        return rest, self.batch([rows], rows.rows)

    def batch(self, cut: list[_Rows], rows: int) -> Batch:
        """The rows as a table; Arrow and the cutter must agree on how many they are."""
        none = np.empty(0, np.int64)
        numbers = np.concatenate([none, *(part for one in cut for part in one.numbers)])
        lines = np.concatenate([none, *(part for one in cut for part in one.lines)])
        bad = [line for one in cut for line in one.bad]
        text = b"".join(part for one in cut for part in one.parts)
        table = self._table(text, lines)
        if table.num_rows != len(numbers):
            between = f"lines {lines[0]} to {lines[-1]}"
            raise MappingError(f"{self._name}, {between}: {len(numbers)} rows are read as {table.num_rows}")
        return Batch(table, numbers, lines, rows, bad)

    def _table(self, text: bytes, lines: NDArray[np.int64]) -> pa.Table:
        schema = [(f"{place}", pa.string()) for place in range(len(self._columns))]
        if not text:
            table = pa.table({name: pa.array([], kind) for name, kind in schema})
            return table.rename_columns(self._columns)
        try:
            return arrow_csv.read_csv(
                io.BytesIO(text),
                read_options=arrow_csv.ReadOptions(
                    column_names=[name for name, _ in schema], use_threads=False, block_size=len(text) + 1
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=self._separator, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict(schema), strings_can_be_null=True, null_values=[""]
                ),
            ).rename_columns(self._columns)
        except pa.ArrowInvalid:
            between = f"lines {lines[0]} to {lines[-1]}"
            raise MappingError(f"{self._name}, {between}: cannot be read as CSV; cut the file there and look") from None

    def _fields(self, raw: NDArray[np.uint8], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Separators of each line outside quotes, and one: its fields, where its quotes are plain."""
        places = np.flatnonzero(raw == self._byte)
        if len(quotes):
            line_starts = self._starts[np.searchsorted(self._ends, places)]
            places = places[(np.searchsorted(quotes, places) - np.searchsorted(quotes, line_starts)) % 2 == 0]
        before = np.searchsorted(places, [self._starts, self._ends])
        return np.asarray(before[1] - before[0] + 1, dtype=np.int64)

    def _not_plain(self, raw: NDArray[np.uint8], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lines whose quotes do not, in turn, open a field at its start and close it at its end."""
        if not len(quotes):
            return quotes
        lines = np.searchsorted(self._ends, quotes)
        turn = np.arange(len(quotes)) - np.searchsorted(lines, lines)
        before = np.where(quotes == self._starts[lines], self._byte, raw[quotes - 1])
        after = raw[quotes + 1]
        closes = (after == self._byte) | (after == _NEWLINE) | (after == _RETURN)
        fits = np.where(turn % 2 == 0, before == self._byte, closes)
        last = np.append(lines[1:] != lines[:-1], True)
        return np.asarray(lines[~fits | (last & (turn % 2 == 0))])

    def _special(self, raw: NDArray[np.uint8], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lines with quotes that are not plain, a carriage return inside, or bytes that are no UTF-8."""
        inside = np.flatnonzero(raw == _RETURN)
        inside = inside[raw[inside + 1] != _NEWLINE]
        lines = np.concatenate([self._not_plain(raw, quotes), np.searchsorted(self._ends, inside)])
        try:
            self._text.decode()
        except UnicodeDecodeError:
            high = np.unique(np.searchsorted(self._ends, np.flatnonzero(raw >= 0x80)))
            lines = np.concatenate([lines, [one for one in high.tolist() if not _is_utf8(self._line_at(one))]])
        return np.unique(lines).astype(np.int64)

    def _line_at(self, place: int) -> bytes:
        return self._text[int(self._starts[place]) : int(self._ends[place])]

    def _plain(self, rows: _Rows, start: int, end: int, fields: NDArray[np.int64]) -> None:
        """Lines without quotes or with plain ones: rows where the number of fields is right, nothing where empty."""
        if start >= end:
            return
        empty = self._ends[start:end] - self._starts[start:end]
        blank = empty == 0
        for one in np.flatnonzero(empty == 1).tolist():
            blank[one] = self._text[int(self._starts[start + one])] == _RETURN
        good = (fields[start:end] == len(self._columns)) & ~blank
        numbers = self._number + np.cumsum(~blank) - 1
        places = np.arange(start, end)
        if good.all():
            rows.parts.append(self._text[int(self._starts[start]) : int(self._ends[end - 1]) + 1])
        else:
            rows.parts += [self._line_at(int(place)) + b"\n" for place in places[good]]
        rows.numbers.append(numbers[good])
        rows.lines.append(self._line + places[good])
        for place in np.flatnonzero(~good & ~blank).tolist():
            reason = self._misfit(int(fields[start + place]))
            rows.bad.append(self._unreadable(int(numbers[place]), start + place, 1, reason))
        count = int((~blank).sum())
        rows.rows += count
        self._number += count

    def _misfit(self, count: int) -> str:
        return f"{count} columns where the header has {len(self._columns)}"

    def _unreadable(self, number: int, place: int, used: int, reason: str) -> Unreadable:
        text = self._text[int(self._starts[place]) : int(self._ends[place + used - 1])]
        return Unreadable(number, self._line + place, reason, text.decode(errors="backslashreplace").rstrip("\r"))

    def _quoted(self, rows: _Rows, place: int, last: bool) -> int:
        """The row that starts on a line with quotes; returns its lines, 0 where it goes on beyond the block."""
        first = self._line_at(place)
        if not _is_utf8(first):
            reason = "is not UTF-8: say encoding in the mapping's file, such as latin-1 or cp1252"
            return self._refuse(rows, place, 1, reason)
        source = _Lines(self, place)
        reader = csv.reader(source, delimiter=self._separator, strict=True)
        try:
            values = next(reader)
        except UnicodeDecodeError:
            return self._refuse(rows, place, 1, STRAY)
        except csv.Error as error:
            if source.ran_out and not last and int(self._ends[-1] - self._starts[place]) < MAX_ROW_BYTES:
                return 0
            if source.used > 1 or source.ran_out:
                return self._refuse(rows, place, 1, STRAY)
            if _QUOTE not in first:
                return self._refuse(rows, place, 1, "a carriage return stands within the line")
            return self._refuse(rows, place, 1, f"its quotes are not CSV; one within quotes is doubled ({error})")
        if source.used > 1 and self._looks_like_rows(place, source.used):
            return self._refuse(rows, place, 1, STRAY)
        if len(values) != len(self._columns):
            return self._refuse(rows, place, source.used, self._misfit(len(values)))
        # Arrow and `csv` read alike what `csv` reads strictly.
        rows.parts.append(self._text[int(self._starts[place]) : int(self._ends[place + source.used - 1]) + 1])
        rows.numbers.append(np.array([self._number]))
        rows.lines.append(np.array([self._line + place]))
        rows.rows += 1
        self._number += 1
        return source.used

    def _looks_like_rows(self, place: int, used: int) -> bool:
        """Whether the lines are rows run together by a stray quote.

        They are if the first, its quotes left aside, has a whole row's separators, and each other is a row by itself;
        the last, which closes the quote, need not be one where there are rows between.
        """
        last = place + used - 1
        if not self._has_separators(place):
            return False
        if last - place > 1 and self._has_separators(last):
            last -= 1
        between = (self._line_at(line).decode().strip("\r") for line in range(place + 1, last + 1))
        return all(len(row_values(line, self._separator)) == len(self._columns) for line in between)

    def _has_separators(self, place: int) -> bool:
        return self._line_at(place).count(self._separator.encode()) + 1 == len(self._columns)

    def _refuse(self, rows: _Rows, place: int, used: int, reason: str) -> int:
        rows.bad.append(self._unreadable(self._number, place, used, reason))
        rows.rows += 1
        self._number += 1
        return used

    def lines_from(self, place: int) -> Iterator[str]:
        """Lines of the block from `place` on, as text with their ends."""
        for line in range(place, len(self._ends)):
            yield self._text[int(self._starts[line]) : int(self._ends[line]) + 1].decode()


class _Lines:
    """The lines that `csv` asks for, counted; at most `MAX_ROW_BYTES` of them."""

    def __init__(self, cutter: Cutter, place: int) -> None:
        self._lines, self.used, self.ran_out, self._taken = cutter.lines_from(place), 0, False, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = "" if self._taken > MAX_ROW_BYTES else next(self._lines, "")
        if not line:
            self.ran_out = True
            raise StopIteration
        self.used += 1
        self._taken += len(line)
        return line


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

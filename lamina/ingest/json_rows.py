"""JSON files as rows: an object a line, an array of objects, or objects one after the other.

`""` is no value, as in CSV, and NaN and Infinity are read where others write them. A row of a file of rejects stands
for the row that was refused, under its own number.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lamina.errors import MappingError
from lamina.ingest import exact
from lamina.ingest.batches import Batch, Unreadable
from lamina.ingest.bytes_of import blocks

REJECT = {"row", "line", "reason", "original"}
"""Keys of a row of a file of rejects."""
MASKED = re.compile(r"^\*{3}$|\*{4}")
"""What a value hidden in a file of rejects looks like."""
MAX_OBJECT_CHARS = 32 << 20
_SPACE = re.compile(r"[\s,]*")
_HALF_PAIR = "holds half of a surrogate pair, which is no text"


class _Found(NamedTuple):
    """A value of the file, the line it starts on, its text where it is of use, and why it is none."""

    line: int
    value: Any
    text: str
    problem: str | None


@dataclass
class _Held:
    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[Unreadable] = field(default_factory=list)

    def batch(self) -> Batch:
        count = len(self.rows) + len(self.bad)
        return Batch(
            _table(self.rows), np.array(self.numbers, np.int64), np.array(self.lines, np.int64), count, self.bad
        )


def json_batches(path: Path, batch_rows: int, encoding: str | None = None) -> Iterator[Batch]:
    """The rows of a JSON file, nested objects flattened: `location.lat`.

    Raises: MappingError: an array that breaks off or holds what is no JSON: names the line.
    """
    held = _Held()
    for number, found in enumerate(_values(path, encoding), start=1):
        row, problem = found.value, found.problem
        if problem is None and not isinstance(row, dict):
            problem = "not a JSON object"
        line = found.line
        if problem is None and set(row) == REJECT:
            number, line, row, problem = _as_it_was(row)
        if problem is not None:
            text = found.text or json.dumps(found.value, ensure_ascii=False)
            held.bad.append(Unreadable(number, line, problem, text))
        else:
            held.rows.append(_flat(row))
            held.numbers.append(number)
            held.lines.append(line)
        if len(held.rows) + len(held.bad) == batch_rows:
            yield held.batch()
            held = _Held()
    if held.rows or held.bad:
        yield held.batch()


def _as_it_was(reject: dict[str, Any]) -> tuple[int, int, dict[str, Any], str | None]:
    """The row that a reject stands for, and why it cannot be read again."""
    row = reject["original"]
    if not isinstance(row, dict):
        return reject["row"], reject["line"], {}, "is kept as text: make its original an object of columns"
    hidden = sorted(name for name, value in row.items() if isinstance(value, str) and MASKED.search(value))
    if hidden:
        return reject["row"], reject["line"], {}, f"{', '.join(hidden)} is hidden here: import the row's own file"
    return reject["row"], reject["line"], row, None


def _values(path: Path, encoding: str | None) -> Iterator[_Found]:
    texts = blocks(path, encoding)
    start = b""
    for block in texts:
        start += block
        if start.strip():
            break
    first_line = start.lstrip().split(b"\n", 1)[0].strip()
    if first_line.startswith(b"[") or first_line == b"{":
        return _stream(path.name, start, texts)
    return _lines(start, texts)


def _lines(start: bytes, more: Iterator[bytes]) -> Iterator[_Found]:
    rest, number = start, 0
    while True:
        block = next(more, None)
        *lines, rest = rest.split(b"\n") if block is not None else [*rest.split(b"\n"), b""]
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield _found(number, line)
        if block is None:
            return
        rest += block


def _found(number: int, line: bytes) -> _Found:
    try:
        return _Found(number, _loads(line), "", None)
    except (ValueError, RecursionError) as error:
        problem = f"not JSON (column {error.colno})" if isinstance(error, json.JSONDecodeError) else "not JSON"
        problem = _HALF_PAIR if isinstance(error, UnicodeEncodeError) else problem
        return _Found(number, None, line.decode(errors="backslashreplace").rstrip("\r\n"), problem)


def _loads(line: bytes) -> Any:
    try:
        return exact.loads(line)
    except json.JSONDecodeError:
        # Python's own reader takes NaN and Infinity, which pandas writes.
        value = json.loads(line)
    if b"\\u" in line or not line.isascii():
        _check_text(value)
    return value


def _check_text(value: Any) -> None:
    """Raise: UnicodeEncodeError: on half of a surrogate pair, which Python's reader takes and nothing can store."""
    json.dumps(value, ensure_ascii=False).encode()


def _stream(name: str, start: bytes, more: Iterator[bytes]) -> Iterator[_Found]:
    """Values one after the other, in an array or not."""
    decode, scan = codecs.getincrementaldecoder("utf-8")("backslashreplace"), json.JSONDecoder()
    text, last = decode.decode(start), False
    line, place = 1, len(text) - len(text.lstrip())
    line += text.count("\n", 0, place)
    in_array = text[place : place + 1] == "["
    place += in_array
    while True:
        skipped = _SPACE.match(text, place)
        assert skipped is not None  # the pattern takes nothing, too
        line += text.count("\n", place, skipped.end())
        place = skipped.end()
        if in_array and text[place : place + 1] == "]":
            if text[place + 1 :].strip() or any(block.strip() for block in more):
                raise MappingError(f"{name}, line {line}: something follows the array's end: write one array")
            return
        if last and place >= len(text):
            break
        try:
            value, end = scan.raw_decode(text, place)
            whole = end < len(text) or last
        except (ValueError, RecursionError) as error:
            if last or len(text) - place > MAX_OBJECT_CHARS:
                at = line + text.count("\n", place, getattr(error, "pos", place))
                raise MappingError(
                    f"{name}, line {at}: not JSON: {getattr(error, 'msg', error)}; nothing after it can be read: mend "
                    "it, or write one object a line"
                ) from None
            whole = False
        if whole:
            yield _whole(line, value, text, place, end)
            line += text.count("\n", place, end)
            place = end
            continue
        block = next(more, None)
        last = block is None
        text, place = text[place:] + decode.decode(block or b"", final=last), 0
    if in_array:
        raise MappingError(f"{name}, line {line}: the array is not closed: the file breaks off; fetch it again")


def _whole(line: int, value: Any, text: str, place: int, end: int) -> _Found:
    if text.find("\\u", place, end) >= 0:
        try:
            _check_text(value)
        except UnicodeEncodeError:
            return _Found(line, None, text[place:end], _HALF_PAIR)
    return _Found(line, value, "" if isinstance(value, dict) else text[place:end], None)


def _flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = None if value == "" else value
    return flat


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return exact.table({name: [row.get(name) for row in rows] for name in names})

"""Refused rows: one JSON object a line with the row's number and line, the reason, and the row, card numbers masked."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from lamina.contracts.cards import LONGEST, SHORTEST, is_card_like, starred
from lamina.lake.files import move
from lamina.lake.layout import STAGING_PREFIX
from lamina.lake.write import open_lake


def masked(value: object) -> object:
    """`value` with everything that may be a card number (12 to 19 digits) starred but for its last four digits.

    >>> masked("paid with 4546 9135 3678 5083")
    'paid with ***************5083'
    >>> masked({"cards": [4546913536785083, 4546913536785083.0, 7]})
    {'cards': ['************5083', '************5083', 7]}
    """
    if isinstance(value, dict):
        return {masked(name): masked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part) for part in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    value = _whole(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return value
    text = str(value)
    shown = starred(text)
    return value if shown == text else shown


def _whole(value: object) -> object:
    """A long whole number as an integer, whatever its type."""
    if isinstance(value, (float, Decimal)) and 10 ** (SHORTEST - 1) <= value < 10**LONGEST and value == value // 1:
        return int(value)
    return value


def _without_cards(value: object) -> object:
    """For columns of times, which are long numbers by right: only what is a card number by all its marks is starred."""
    return masked(value) if is_card_like(str(_whole(value))) else value


HIDDEN = "***"


def _within(name: str, other: str) -> bool:
    """Whether one of two columns, whose dots reach into nested JSON, is the other or a part of it."""
    return name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")


class Rejected(NamedTuple):
    """A refused row: its number in the file, the line it starts on, why, and the row, or its text where it is none."""

    row: int
    line: int
    reason: str
    original: Mapping[str, Any] | str


class RejectsFile:
    """The file at `url`: written aside, put in place by `commit`. Without a reject there is no file, nor an older one.

    Args: secret: columns whose values are never written; plain: columns left alone, such as times in milliseconds.
    """

    def __init__(self, url: str, secret: set[str], plain: set[str]) -> None:
        self._fs, self._path = open_lake(url)
        parent, name = self._path.rsplit("/", 1)
        self._staging = f"{parent}/{STAGING_PREFIX}{uuid.uuid4().hex}-{name}"
        self._secret, self._plain = secret, plain
        self._sink: Any = None

    def add(self, rows: Iterable[Rejected]) -> None:
        """Append rows."""
        for number, line, reason, row in rows:
            if self._sink is None:
                self._fs.makedirs(self._staging.rsplit("/", 1)[0], exist_ok=True)
                self._sink = self._fs.open(self._staging, "wb")
            kept = (
                self._line(row)
                if isinstance(row, str)
                else {starred(name): self._kept(name, row[name]) for name in row}
            )
            self._sink.write(
                orjson.dumps({"row": number, "line": line, "reason": reason, "original": kept}, default=str) + b"\n"
            )

    def _line(self, text: str) -> object:
        """A line that is no row: where in it a secret stands nobody knows."""
        return HIDDEN if self._secret else masked(text)

    def _kept(self, name: str, value: object) -> object:
        if value is not None and any(_within(name, secret) for secret in self._secret):
            return HIDDEN
        return _without_cards(value) if name in self._plain else masked(value)

    def commit(self) -> str | None:
        """Put the file in its place; returns its path, or None where nothing was rejected."""
        if self._sink is None:
            if self._fs.exists(self._path):
                self._fs.rm_file(self._path)
            return None
        self._sink.close()
        move(self._fs, self._staging, self._path)
        return self._path

    def abort(self) -> None:
        """Drop what is not committed."""
        if self._sink is not None and self._fs.exists(self._staging):
            self._sink.close()
            self._fs.rm_file(self._staging)

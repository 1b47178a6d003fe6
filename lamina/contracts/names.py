"""Names that end in SQL, keys of Redis, topics and paths, checked where they are given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_COLUMN = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})*")
_TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")

TOPIC_PREFIX = r"^[A-Za-z0-9._-]{0,64}$"
"""What may stand before the name of a topic."""


def complaints_of_names(kind: str, names: Iterable[str], *, topic: bool = False) -> Iterator[str]:
    """What is wrong with names, each a sentence; `topic`: they may hold dashes.

    >>> list(complaints_of_names("view", ["spend", "a b"]))
    ["view 'a b': a name has letters, digits and underscores and begins with no digit"]
    """
    pattern = _TOPIC if topic else _NAME
    rule = "a name has letters, digits and underscores and begins with no digit"
    for name in names:
        if not pattern.fullmatch(name):
            yield f"{kind} {name!r}: {'a topic has letters, digits, dashes and underscores' if topic else rule}"


def complaints_of_columns(source: str, columns: Iterable[str]) -> Iterator[str]:
    """What is wrong with the columns of a source, dotted where nested."""
    for column in columns:
        if not _COLUMN.fullmatch(column):
            yield f"source {source!r}: column {column!r} is no name; nested ones are joined with dots"

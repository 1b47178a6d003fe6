"""What YAML reads otherwise than it is written: `NO` is false, `0742` is 482, `2018-08-08` is a date. Quotes help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml


class AsWritten:
    """A YAML file beside its own text."""

    def __init__(self, path: Path) -> None:
        self._written = yaml.load(path.read_text(encoding="utf-8-sig"), yaml.BaseLoader)

    def keys(self, read: Any) -> list[str]:
        """Keys of `read`, the same file as YAML reads it, that are not what they look like."""
        return list(_keys(read, self._written, ()))

    def problem(self, place: Sequence[int | str], value: object) -> str | None:
        """What to say of `value` where text is needed; None where quotes are not what is missing."""
        kind = _kind(value)
        if kind is None:
            return None
        if "salt" in place:  # a secret
            return f"YAML reads it as {kind}: quote it"
        written = self._written
        for part in place:
            if not (isinstance(written, dict) and part in written):
                break
            written = written[part]
        return f"YAML reads {written} as {kind}: quote it, {written!r}" if isinstance(written, str) else None


def _keys(read: Any, written: Any, place: tuple[str, ...]) -> Iterator[str]:
    if isinstance(read, list) and isinstance(written, list):
        for one, other in zip(read, written, strict=True):
            yield from _keys(one, other, place)
    if not (isinstance(read, dict) and isinstance(written, dict) and len(read) == len(written)):
        return
    for (key, value), (text, inner) in zip(read.items(), written.items(), strict=True):
        if not isinstance(key, str) and str(key) != text:
            yield f"{'.'.join(place) or '(file)'}: YAML reads a key as {_kind(key)}: quote it, {text!r}"
        yield from _keys(value, inner, (*place, text))


def _kind(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return "a number"
    return "a date" if isinstance(value, date) else None

"""Sketches as a file: JSON, each sketch in DataSketches' own bytes, which other languages read, too.

{"format": 1, "about": {...}, "columns": {"amount": {"kind": "number", "missing": 3, "sketch": "<base64>"}}}
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from lamina.errors import LaminaError
from lamina.monitoring.drift.sketches import KINDS, Sketch

FORMAT = 1


class SketchFileError(LaminaError):
    """Sketches that this version cannot read; the message says what to do."""


def dump_sketches(columns: Mapping[str, Sketch], about: Mapping[str, Any]) -> bytes:
    """The columns with what is said `about` them, as the content of a file."""
    found = {
        name: {
            "kind": sketch.kind,
            "missing": sketch.missing,
            "sketch": base64.b64encode(sketch.to_bytes()).decode(),
        }
        for name, sketch in columns.items()
    }
    return orjson.dumps({"format": FORMAT, "about": dict(about), "columns": found}) + b"\n"


def load_sketches(content: bytes | str, name: str) -> tuple[dict[str, Sketch], dict[str, Any]]:
    """The columns of a file called `name`, and what is said about them.

    Raises: SketchFileError: it is of another version, or broken.
    """
    try:
        found = orjson.loads(content)
        version = found["format"]
        if version == FORMAT:
            columns: dict[str, Sketch] = {
                column: KINDS[each["kind"]].from_bytes(base64.b64decode(each["sketch"]), each["missing"])
                for column, each in found["columns"].items()
            }
            return columns, found["about"]
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise SketchFileError(f"{name} holds no sketches ({error!r}): remove it, and it is made again") from None
    raise SketchFileError(f"{name} is of format {version}, this version reads {FORMAT}: use the version that wrote it")

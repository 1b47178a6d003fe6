"""What the archive of a topic's day says of itself, wherever that day lies."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson

from lamina.lake import layout
from lamina.lake.write import open_lake


def read_manifest(lake: str, topic: str, day: date) -> dict[str, Any]:
    """The counts and ranges of what was archived for `day`, as it was written last; empty where nothing was.

    What lies in its place counts before what the quality gate keeps aside.
    """
    # The last once more: it may be put back between the two looks.
    for partition in (layout.events, layout.quarantine, layout.events):
        fs, folder = open_lake(f"{partition(lake, topic, day)}/{layout.ORIGIN}")
        try:
            found: dict[str, Any] = orjson.loads(fs.cat_file(f"{folder}/{layout.OFFSETS}"))
        except FileNotFoundError:
            continue
        return found
    return {}


def archived_run(lake: str, topic: str, day: date) -> str | None:
    """Which run of the archive wrote what lies there; None without any, or by one that did not note it."""
    return read_manifest(lake, topic, day).get("run")

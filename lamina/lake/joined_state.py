"""What each day of joined rows holds, in a word: beside its rows, so that a run makes those days anew that differ."""

from __future__ import annotations

from datetime import date

import orjson

from lamina.lake import layout
from lamina.lake.joined import joined_days
from lamina.lake.write import open_lake

STATE = "_join.json"
_FINGERPRINT = "fingerprint"


def write_fingerprint(staging: str, fingerprint: str) -> None:
    """Put the fingerprint of rows that are being written beside them."""
    fs, path = open_lake(staging)
    fs.pipe_file(f"{path}/{STATE}", orjson.dumps({_FINGERPRINT: fingerprint}))


def fingerprints(lake: str, system: str) -> dict[date, str | None]:
    """The fingerprint of every day that has joined rows; None of a day that has none beside them."""
    found: dict[date, str | None] = {}
    for day in joined_days(lake, system):
        fs, path = open_lake(layout.joined(lake, system, day))
        file = f"{path}/{STATE}"
        found[day] = orjson.loads(fs.cat_file(file))[_FINGERPRINT] if fs.exists(file) else None
    return found

"""What each day of joined rows holds, in a word: beside its rows, so that a run makes those days anew that differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import orjson

from lamina.lake import layout
from lamina.lake.joined import joined_days
from lamina.lake.write import open_lake

STATE = "_join.json"
_FINGERPRINT, _KNOWN, _DATE = "fingerprint", "known_before_ms", "date"


@dataclass(frozen=True, order=True)
class AsOf:
    """What a run looked at: what was known before a time, epoch ms, and had arrived by the end of a day. One that is
    greater has seen more.
    """

    known_before_ms: int
    date: date


@dataclass(frozen=True)
class JoinState:
    """Of a day's rows: their fingerprint, and what the run had looked at that wrote them. None where nobody says so."""

    fingerprint: str | None = None
    as_of: AsOf | None = None


def write_fingerprint(staging: str, fingerprint: str, as_of: AsOf) -> None:
    """Put the fingerprint of rows that are being written beside them, and what they are made of."""
    fs, path = open_lake(staging)
    said = {_FINGERPRINT: fingerprint, _KNOWN: as_of.known_before_ms, _DATE: as_of.date.isoformat()}
    fs.pipe_file(f"{path}/{STATE}", orjson.dumps(said))


def states(lake: str, system: str) -> dict[date, JoinState]:
    """What is said of every day that has joined rows."""
    found: dict[date, JoinState] = {}
    for day in joined_days(lake, system):
        fs, path = open_lake(layout.joined(lake, system, day))
        file = f"{path}/{STATE}"
        said = orjson.loads(fs.cat_file(file)) if fs.exists(file) else {}
        # The version before noted the fingerprint alone.
        as_of = AsOf(said[_KNOWN], date.fromisoformat(said[_DATE])) if _KNOWN in said else None
        found[day] = JoinState(said.get(_FINGERPRINT), as_of)
    return found

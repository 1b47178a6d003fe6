"""Joined rows as the lake has them, made from what a test says of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import orjson
import pyarrow as pa

from lamina.clock import day_of
from lamina.lake import layout
from lamina.lake.joined import SCHEMA, WAITING
from lamina.lake.write import write_partition

AT_MS = 1_534_118_400_000  # 2018-08-13
OF_AN_ANSWER: dict[str, Any] = {
    "timestamp": AT_MS,
    "subjects": {"user": "u-1"},
    "outputs": {"score": 0.25},
    "score": 0.25,
    "action": "approve",
    "intended": "approve",
    "model": "fraud",
    "model_version": "1",
    "fallback": "none",
    "shadow": False,
    "features": {},
    "payload": {},
    "latency_ms": 5.0,
    "label_status": WAITING,
    "contradicted": False,
}


def joined_rows(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table of `SCHEMA`: what a row does not say is as in `OF_AN_ANSWER`, or null. Maps may be given as such."""
    made = []
    for i, given in enumerate(rows):
        row = {**dict.fromkeys(SCHEMA.names), **OF_AN_ANSWER, "request_id": f"r-{i}", "event_id": f"e-{i}", **given}
        row["served_at"] = row["served_at"] or row["timestamp"]
        made.append({k: orjson.dumps(v).decode() if isinstance(v, dict) else v for k, v in row.items()})
    return pa.Table.from_pylist(made, schema=SCHEMA)


def put_joined(lake: str, system: str, rows: Iterable[Mapping[str, Any]]) -> list[date]:
    """Write such rows to the days of their timestamps, in place of what is there; returns the days."""
    by_day = defaultdict(list)
    for row in joined_rows(rows).to_pylist():
        by_day[day_of(row["timestamp"])].append(row)
    for day, of_day in by_day.items():
        write_partition(layout.joined(lake, system, day), pa.Table.from_pylist(of_day, schema=SCHEMA))
    return sorted(by_day)

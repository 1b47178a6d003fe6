"""Joined rows as the lake holds them, made up: a system of scores that are right as often as they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lamina.clock import DAY_MS, day_of
from lamina.lake.joined import ASSUMED, SAID, SCHEMA, STATE, WAITING
from lamina.monitoring.rows import Reader

BEGIN_MS = 1_533_600_000_000
"""Midnight of 7 August 2018."""
DELAY_MS = 7 * DAY_MS
"""How long frauds take to be known."""


def row(n: int, **given: Any) -> dict[str, Any]:
    """A row of an approved payment that was honest, and whose label is complete."""
    usual = {
        "request_id": f"r-{n}",
        "event_id": f"txn-{n}",
        "timestamp": BEGIN_MS + n,
        "served_at": BEGIN_MS + n,
        "subjects": json.dumps({"user": f"u-{n % 97}", "merchant": "m-1"}),
        "outputs": "{}",
        "score": 0.1,
        "action": "approve",
        "model": "fraud",
        "model_version": "3",
        "fallback": "none",
        "shadow": False,
        "features": "{}",
        "payload": "{}",
        "latency_ms": 1.0,
        "label": 0.0,
        "label_status": ASSUMED,
        "contradicted": False,
    }
    return usual | given


def said(at_ms: int, label: float = 1.0) -> dict[str, Any]:
    """What a row has when something was said of it."""
    return {"label": label, "label_timestamp": at_ms, "label_source": "bank", "label_status": SAID}


def waiting() -> dict[str, Any]:
    """What a row has while nothing was."""
    return {"label": None, "label_timestamp": None, "label_status": WAITING}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as a table of the lake."""
    return pa.table({field.name: pa.array([r.get(field.name) for r in rows], field.type) for field in SCHEMA})


def reading(rows: list[dict[str, Any]], asked: list[tuple[str, ...]] | None = None) -> Reader:
    """Reads the rows as from the lake, and notes in `asked` which columns each time."""

    def read(columns: Sequence[str], start_ms: int, end_ms: int) -> pa.Table:
        if asked is not None:
            asked.append(tuple(columns))
        days = {day_of(at_ms) for at_ms in (*range(start_ms, end_ms, DAY_MS), end_ms - 1)}
        return table([r for r in rows if day_of(r["timestamp"]) in days]).select(list(columns))

    return read


def joined_again(rows: list[dict[str, Any]], known_ms: int, **said_now: Any) -> list[dict[str, Any]]:
    """The rows after a join as of a time that found `said_now` of each."""
    before = [{name: r.get(name) for name in STATE.names} for r in rows]
    return [
        {**r, **said_now, "since": known_ms, "earlier": [*(r.get("earlier") or []), was]}
        for r, was in zip(rows, before, strict=True)
    ]


def calibrated(
    n: int, *, days: int = 7, seed: int = 0, quality: float = 2.0, first: int = 0, **given: Any
) -> list[dict[str, Any]]:
    """Rows of `days` days, evenly, with scores that mean what they say; 12 % are frauds, known after a day.

    Args: quality: how far the log-odds of frauds lie above the others'; first: number of the first row.
    """
    rng = np.random.default_rng(seed)
    fraud = rng.random(n) < 0.12
    odds = rng.normal(0, 1, n) * np.sqrt(quality) + np.where(fraud, quality / 2, -quality / 2)
    score = 1 / (1 + np.exp(-(odds + np.log(0.12 / 0.88))))
    at = BEGIN_MS + np.arange(n) * (days * DAY_MS // n)
    return [
        row(
            first + i,
            timestamp=int(at[i]),
            score=float(score[i]),
            subjects=json.dumps({"user": f"u-{rng.integers(n // 2)}", "merchant": "m-1"}),
            action="review" if score[i] > 0.4 else "approve",
            **({} if not fraud[i] else said(int(at[i]) + DAY_MS)),
            **given,
        )
        for i in range(n)
    ]

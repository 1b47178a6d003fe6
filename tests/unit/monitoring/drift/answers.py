"""Answers in a lake, made up: features and a score each."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lamina.contracts.served import ModelUsed, Served
from lamina.contracts.topics import predictions_of
from lamina.lake import layout
from lamina.lake.schemas import in_lake, row_of, schema_of
from lamina.settings import ROOT

ANSWER = Served.from_json((ROOT / "tests/data/events/served-v1.json").read_bytes())


def answer(n: int, at_ms: int, features: dict[str, Any], score: float, version: str = "3", **given: Any) -> Served:
    """An answer that was served at once."""
    return ANSWER.model_copy(
        update={
            "request_id": f"r-{n}",
            "timestamp": at_ms,
            "served_at": at_ms,
            "features": features,
            "outputs": {"score": score},
            "models": {"model": ModelUsed(name="fraud", version=version)},
            **given,
        }
    )


def put(lake: Path, day: date, answers: list[Served], part: int = 0) -> None:
    """Archive answers as having arrived on `day`."""
    system = answers[0].system
    rows = [row_of(each) | {"partition": 0, "offset": i} for i, each in enumerate(answers)]
    target = Path(layout.events(str(lake), predictions_of(system), day)) / layout.ORIGIN
    target.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(schema_of(Served))), target / f"part-{part}.parquet")

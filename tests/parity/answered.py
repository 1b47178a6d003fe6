"""Answers, and any events, put into a lake as the archive of Kafka leaves them there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from lamina.contracts.base import Event
from lamina.contracts.served import ModelUsed, Served
from lamina.lake import layout
from lamina.lake.schemas import in_lake, row_of, schema_of
from lamina.lake.write import write_partition


def put(lake: str, topic: str, contract: type[Event], events: Sequence[Event], day: date) -> None:
    rows = [row_of(event) | {"partition": 0, "offset": i} for i, event in enumerate(events)]
    table = pa.Table.from_pylist(rows, schema=in_lake(schema_of(contract)))
    write_partition(f"{layout.events(lake, topic, day)}/{layout.ORIGIN}", table)


def answer(system: str, event: str, subjects: dict[str, str], at: int, request: str | None = None) -> Served:
    return Served(
        system=system,
        request_id=request or f"r-{event}",
        event_id=event,
        subjects=subjects,
        outputs={"score": 0.5},
        models={"model": ModelUsed(name="m", version="1")},
        features={},
        seen={},
        through={},
        timestamp=at,
        served_at=at,
        latency_ms=1.0,
    )

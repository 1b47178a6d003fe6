"""Decisions as serving would have logged them, made by the real reader from a store that lags behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import day_of
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan
from lamina.store.memory import MemoryStore
from lamina.store.reader import FeatureVector, Reader
from tests.parity.generated import Generated

Archived = dict[str, list[dict[str, object]]]
"""Events by source in order of arrival, with the day they were archived and their place in Kafka."""


def event_time(event: EventRow) -> int:
    """Time of a transaction, epoch ms."""
    return int(str(event["timestamp"]))


def archived(generated: Generated, batch_end_ms: int) -> Archived:
    """Events archived on their day; those from `batch_end_ms` on came by Kafka, the others by import."""
    found: Archived = {}
    for name, events in generated.arrived.items():
        rows: list[dict[str, object]] = []
        for i, event in enumerate(events):
            streamed = event_time(event) >= batch_end_ms
            place = {"partition": 0, "offset": i} if streamed else {"partition": None, "offset": None}
            rows.append({**event, **place, "ingested": day_of(event_time(event)).isoformat()})
        found[name] = sorted(rows, key=lambda e: str(e["ingested"]))
    return found


def first_requests(events: Archived, at_least: int) -> list[EventRow]:
    """Streamed transactions, each id once, with at least so many streamed ones of the same user before them."""
    seen: dict[object, list[object]] = {}
    found: list[EventRow] = []
    for event in events["transactions"]:
        if event["offset"] is None:
            continue
        ids = seen.setdefault(event["user_id"], [])
        if event["transaction_id"] in ids:
            continue
        if len(ids) >= at_least:
            found.append(event)
        ids.append(event["transaction_id"])
    return found


def arrived_before(events: Archived, request: EventRow) -> list[EventRow]:
    """Streamed transactions of the same user that arrived before `request`, each id once."""
    found: dict[object, EventRow] = {}
    for event in events["transactions"]:
        if event["transaction_id"] == request["transaction_id"]:
            break
        if event["offset"] is not None and event["user_id"] == request["user_id"]:
            found.setdefault(event["transaction_id"], event)
    return list(found.values())


def vector(
    plan: Plan,
    events: Mapping[str, Sequence[EventRow]],
    batch_end_ms: int,
    readable: Sequence[EventRow],
    request: EventRow,
) -> FeatureVector:
    """What the reader answers when, of the streamed transactions, only `readable` are in the store."""
    through = day_of(batch_end_ms).isoformat()
    history = {name: [e for e in rows if str(e["ingested"]) < through] for name, rows in events.items()}
    store = MemoryStore()
    store.publish(batch_writes(plan, history, batch_end_ms))
    store.write_tiles(speed_writes(plan.speed, {"transactions": list(readable), "fraud_labels": []}, batch_end_ms))
    return Reader(plan).read(store, request, event_time(request))

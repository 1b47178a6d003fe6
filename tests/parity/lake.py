"""Generated events in a lake, as an import and the archive of Kafka would have left them there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lamina.clock import day_of
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.contracts.user_events import USER_EVENTS
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake
from tests.parity.generated import Generated

Arrivals = list[tuple[date, dict[str, Any]]]
"""Day of arrival and event, in order of arrival."""


def arrivals(events: Sequence[dict[str, object]], time: str) -> Arrivals:
    """A late event arrives on the day of the newest event before it."""
    found: Arrivals = []
    newest = date.min
    for event in events:
        newest = max(newest, day_of(int(str(event[time]))))
        found.append((newest, event))
    return found


TIMES = {
    "transactions": "timestamp",
    "fraud_labels": "transaction_timestamp",
    "fraud_reports": "transaction_timestamp",
    "user_events": "timestamp",
}
"""What a source's events arrive by; of two sources of one topic both are the same events in the same order."""
TOPICS = {
    "transactions": TRANSACTIONS,
    "fraud_labels": FRAUD_LABELS,
    "fraud_reports": FRAUD_LABELS,
    "user_events": USER_EVENTS,
}


def write_lake(lake: Path, generated: Generated) -> dict[str, Arrivals]:
    """Write every topic: the first half imported, the second from Kafka; returns what arrived, by source."""
    found = {name: arrivals(events, TIMES[name]) for name, events in generated.arrived.items()}  # type: ignore[arg-type]
    for topic, arrived in {TOPICS[name]: arrived for name, arrived in found.items()}.items():
        _write(lake, topic, arrived)
    return found


def _write(lake: Path, topic: str, arrived: Arrivals) -> None:
    folders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for i, (day, event) in enumerate(arrived):
        imported = i < len(arrived) // 2
        place = {"partition": None, "offset": None} if imported else {"partition": 0, "offset": i}
        folder = layout.events(str(lake), topic, day) + ("" if imported else "/origin=kafka")
        folders[folder].append({**event, **place})
    for folder, rows in folders.items():
        Path(folder).mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS[topic]))
        pq.write_table(table, f"{folder}/{'part' if rows[0]['offset'] is not None else 'import-a'}-00000.parquet")

"""Import of transactions: read, convert, check, and write to the lake by UTC day, with bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.clock import DAY_MS
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.errors import MappingError
from lamina.ingest.card_columns import CardColumns
from lamina.ingest.convert import ColumnError, Converted, convert
from lamina.ingest.currencies import in_currency
from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.reader import Batch, kind_of, read_batches
from lamina.ingest.rejects import Rejected, RejectsFile
from lamina.ingest.validate import SeenIds, first_problems
from lamina.lake import layout
from lamina.lake.layout import checked_name
from lamina.lake.schemas import SCHEMAS, without_position
from lamina.lake.write import SourceWriter

BUFFERED_ROWS = 500_000
EPOCH = date(1970, 1, 1)
REPEATED = "transaction_id: is repeated in the file; the first row counts"


@dataclass(frozen=True)
class Events:
    """One batch of a file: events that keep the contract, their labels, the rows that do not, and what was decided
    for how many of the good ones. `rows` is how many rows of the file these are, counted where it is cut.
    """

    transactions: pa.Table
    labels: pa.Table
    rejected: list[Rejected]
    rows: int
    notes: Counter[str] = field(default_factory=Counter)


@dataclass
class ImportReport:
    """Counts of one import, in rows. `read = accepted + rejected + outside`, checked by `balanced`."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    outside: int = 0  # of the dates that were asked for
    labels: int = 0
    labels_outside: int = 0
    days: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    rejects_path: str | None = None

    @property
    def duplicates(self) -> int:
        """Rejected rows whose transaction_id stands in a row before."""
        return self.reasons[REPEATED]

    @property
    def balanced(self) -> bool:
        """Every row that was read is accounted for."""
        return self.read == self.accepted + self.rejected + self.outside


def default_source(path: Path) -> str:
    """Name of a file in the lake: its stem and a digest of where it lies, so that equal names do not collide."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem) or "file"
    return f"{stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def read_converted(
    path: Path, mapping: TransactionMapping, salt: str | None = None
) -> Iterator[tuple[Batch, Converted]]:
    """The file's rows, batch by batch, as they stand and as the mapping has them read."""
    optional = _optional_columns(mapping)
    first = True
    cards = CardColumns(mapping, path.name)
    is_json = path.is_file() and kind_of(path, mapping.file) == "json"
    for batch in read_batches(path, mapping.file, mapping.columns):
        if first and (batch.table.num_rows or batch.table.num_columns):
            present = batch.table.column_names
            optional = [name for name in optional if is_json and name not in present]
            mapping.check_columns([*present, *optional], path.name)
            first = False
        if not batch.rows:
            continue
        table = _with_columns(batch.table, mapping.columns) if is_json else batch.table
        cards.look(table)
        with _named(path, batch):
            converted = convert(table, mapping, salt or mapping.salt, batch.numbers)
        yield batch, converted


def read_events(path: Path, mapping: TransactionMapping, salt: str | None = None) -> Iterator[Events]:
    """The file's rows as events, batch by batch. Of rows with the same transaction_id the first good one counts."""
    seen = SeenIds()
    for batch, converted in read_converted(path, mapping, salt):
        problems = first_problems(converted)
        again = seen.repeated(converted.events["transaction_id"], problems == None)  # noqa: E711 - elementwise
        problems[again] = REPEATED
        good = np.flatnonzero(problems == None)  # noqa: E711 - elementwise
        yield Events(
            _transactions(converted, good),
            _labels(converted, good, mapping),
            _rejected(batch, problems),
            batch.rows,
            Counter({f"{note.field}: {note.reason}": int(note.broken[good].sum()) for note in converted.notes}),
        )


def import_transactions(
    path: Path,
    mapping: TransactionMapping,
    lake: str,
    *,
    source: str | None = None,
    since: date | None = None,
    until: date | None = None,
    salt: str | None = None,
    dry_run: bool = False,
    currency: str | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Bring a file into the lake; a rerun replaces what the same source wrote for the same dates.

    Transactions go to the day they happened on, labels to the day they became known. `since` (included) and `until`
    (excluded) choose those days for both, so that an import up to a day knows nothing that was known later.

    Args: currency: that of all amounts, ISO 4217; others become so by the mapping's rates. None: as they come.

    Raises: MappingError: among others, for amounts in a currency without a rate; nothing is written then.
    """
    source = checked_name("source", default_source(path) if source is None else source)
    report = ImportReport()
    low, high = _day_number(since, -(2**31)), _day_number(until, 2**31)

    def owns(partition: str) -> bool:
        return low <= _day_number(date.fromisoformat(partition.removeprefix("ingested=")), 0) < high

    with ExitStack() as stack:
        writers = {
            topic: _DayBuffer(stack.enter_context(SourceWriter(layout.topic(lake, topic), f"import-{source}", owns)))
            for topic in (TRANSACTIONS, FRAUD_LABELS)
        }
        rejects = RejectsFile(
            layout.rejects(lake, TRANSACTIONS, source), mapping.hashed_columns, set(mapping.timestamp.columns)
        )
        stack.callback(rejects.abort)
        for events in read_events(path, mapping, salt):
            transactions, labels = _within(events.transactions, low, high), _within(events.labels, low, high)
            if currency is not None:
                transactions, converted = in_currency(transactions, currency, mapping, path.name)
                report.notes += converted
            _count(report, events, transactions, labels)
            if not dry_run:
                writers[TRANSACTIONS].add(transactions)
                writers[FRAUD_LABELS].add(labels)
                rejects.add(events.rejected)
            progress(report.read)
        if not report.balanced:
            told = report.accepted + report.rejected + report.outside
            raise MappingError(
                f"{path.name}: {report.read:,} rows were read and {told:,} accounted for; nothing was written. This is "
                "a fault of lamina's: keep the file and report it"
            )
        if not dry_run:
            report.days = writers[TRANSACTIONS].commit()
            writers[FRAUD_LABELS].commit()
            report.rejects_path = rejects.commit()
    return report


def _count(report: ImportReport, events: Events, transactions: pa.Table, labels: pa.Table) -> None:
    outside = events.transactions.num_rows - transactions.num_rows
    report.accepted += transactions.num_rows
    report.outside += outside
    report.rejected += len(events.rejected)
    report.read += events.rows
    report.labels += labels.num_rows
    report.labels_outside += events.labels.num_rows - labels.num_rows
    report.notes += events.notes
    # What stands in brackets is this row's alone.
    report.reasons.update(
        row.reason.partition(" (")[0] if row.reason.startswith("line: ") else row.reason for row in events.rejected
    )


def _day_number(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else (day - EPOCH).days


def _within(table: pa.Table, low: int, high: int) -> pa.Table:
    day = table["timestamp"].to_numpy() // DAY_MS
    inside = (day >= low) & (day < high)
    return table if inside.all() else table.filter(pa.array(inside))


def _optional_columns(mapping: TransactionMapping) -> list[str]:
    """Source columns that a JSON file may leave out of its first rows."""
    names = [field.column for field in mapping.texts.values() if field.column and field.default is not None]
    return [*names, *([mapping.location.lat, mapping.location.lon] if mapping.location else [])]


def _with_columns(table: pa.Table, names: list[str]) -> pa.Table:
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table


def _transactions(converted: Converted, good: Any) -> pa.Table:
    events = converted.events.select(SCHEMAS[TRANSACTIONS].names)
    if len(good) < events.num_rows:
        events = events.take(pa.array(good))
    return events.cast(SCHEMAS[TRANSACTIONS])


def _labels(converted: Converted, good: Any, mapping: TransactionMapping) -> pa.Table:
    if mapping.label is None:
        return SCHEMAS[FRAUD_LABELS].empty_table()
    rows = pa.array(good[converted.is_fraud[good]])
    events = converted.events.take(rows)
    at_ms = events["timestamp"].cast(pa.int64())
    columns = {
        "transaction_id": events["transaction_id"],
        "user_id": events["user_id"],
        "merchant_id": events["merchant_id"],
        "is_fraud": pa.repeat(True, len(rows)),
        "scenario": converted.scenario.take(rows),
        "source": pa.repeat(mapping.label.source, len(rows)),
        "transaction_timestamp": at_ms,
        "timestamp": pc.add(at_ms, mapping.label.delay_s * 1000),
    }
    return pa.table(columns).cast(SCHEMAS[FRAUD_LABELS])


def _rejected(batch: Batch, problems: Any) -> list[Rejected]:
    rows = np.flatnonzero(problems != None)  # noqa: E711 - elementwise
    originals = _as_written(batch.table.take(pa.array(rows))).to_pylist() if len(rows) else []
    refused = [
        Rejected(int(batch.numbers[row]), int(batch.lines[row]), str(problems[row]), original)
        for row, original in zip(rows, originals, strict=True)
    ]
    return refused + [Rejected(line.number, line.line, f"line: {line.reason}", line.text) for line in batch.unreadable]


def _as_written(table: pa.Table) -> pa.Table:
    """Dates and times as text: Python has none beyond the year 9999."""
    for place, column in enumerate(table.columns):
        if pa.types.is_temporal(column.type):
            table = table.set_column(place, table.column_names[place], column.cast(pa.string()))
    return table


@contextmanager
def _named(path: Path, batch: Batch) -> Iterator[None]:
    """What goes wrong inside is told with the file and its lines."""
    try:
        yield
    except ColumnError as error:
        lines = f", lines {batch.lines[0]:,} to {batch.lines[-1]:,}" if len(batch.lines) else ""
        raise MappingError(f"{path.name}{lines}: {error}") from error


class _DayBuffer:
    """Rows by UTC day, held back so that a day becomes few files; at most `BUFFERED_ROWS` in memory."""

    def __init__(self, writer: SourceWriter) -> None:
        self._writer = writer
        self._days: dict[int, list[pa.Table]] = {}
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Keep the rows of `table`; writes the fullest days when too many are held."""
        if not table.num_rows:
            return
        day = table["timestamp"].to_numpy() // DAY_MS
        if (np.diff(day) < 0).any():
            order = np.argsort(day, kind="stable")
            table, day = table.take(pa.array(order)), day[order]
        days, starts = np.unique(day, return_index=True)
        ends = [*starts[1:].tolist(), len(day)]
        for number, start, end in zip(days.tolist(), starts.tolist(), ends, strict=True):
            self._days.setdefault(number, []).append(table.slice(start, end - start))
        self._rows += table.num_rows
        if self._rows > BUFFERED_ROWS:
            self._flush(down_to=BUFFERED_ROWS // 2)

    def commit(self) -> int:
        """Write what is held and put all files in place; returns the number of days."""
        self._flush(down_to=0)
        return self._writer.commit()

    def _flush(self, down_to: int) -> None:
        by_size = sorted(self._days, key=lambda day: -sum(part.num_rows for part in self._days[day]))
        for day in by_size:
            if self._rows <= down_to:
                return
            table = pa.concat_tables(self._days.pop(day)).combine_chunks()
            self._rows -= table.num_rows
            self._writer.add(layout.ingested(EPOCH + timedelta(days=day)), without_position(table))

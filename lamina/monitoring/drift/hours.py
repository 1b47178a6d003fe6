"""What was served, by the hour, as sketches in the lake: a window of hours is put together without reading them again.

    lake/sketches/fraud/hour=2018-08-21T07/sketches.json

The sketches of an hour are used again while the answers of the hour that count, those served before the time that is
asked for, are the same as when they were made. So a run for a past hour gives the same answer again, though KLL draws
lots from 4,096 values an hour on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lamina.clock import day_of
from lamina.contracts.served import MODEL
from lamina.contracts.topics import predictions_of
from lamina.lake import layout
from lamina.lake.answers import read_answers
from lamina.lake.partitions import CLOCK_SKEW, ingested_days
from lamina.lake.write import open_lake, replacing
from lamina.monitoring.drift.distributions import Distribution, Numbers, Texts, pooled_numbers, pooled_texts
from lamina.monitoring.drift.sketch_files import SketchFileError, dump_sketches, load_sketches
from lamina.monitoring.drift.sketches import NumberSketch, Sketch, TextSketch
from lamina.monitoring.hours import HOUR_MS

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "sketches.json"
SCORES_OF = "scores of version "
"""Columns of the file with the scores of a version begin so. No feature's name has blanks."""
BATCH = 20_000
"""Answers whose features are taken apart at a time."""


@dataclass
class Served:
    """What an hour's answers were like. at_ms: its start. scores: by model version. rows: answers with features."""

    at_ms: int
    features: Mapping[str, Distribution]
    scores: Mapping[str, Numbers]
    rows: int


@dataclass
class _Sketches:
    """Of an hour, as they are kept."""

    features: dict[str, Sketch]
    scores: dict[str, NumberSketch] = field(default_factory=dict)
    rows: int = 0

    def served(self, at_ms: int, names: Collection[str]) -> Served:
        scores = {version: sketch.distribution() for version, sketch in self.scores.items()}
        return Served(at_ms, {name: self.features[name].distribution() for name in names}, scores, self.rows)


def windowed(hours: Sequence[Served], name: str, version: str | None = None) -> Distribution | None:
    """A feature's distribution over hours, or the scores of a `version`; None where none of the hours has any."""
    of = [hour.features.get(name) if version is None else hour.scores.get(version) for hour in hours]
    numbers, texts = [p for p in of if isinstance(p, Numbers)], [p for p in of if isinstance(p, Texts)]
    if not (numbers or texts):
        return None
    return pooled_numbers(numbers) if numbers else pooled_texts(texts)


def served_hours(
    lake: str,
    system: str,
    kinds: Mapping[str, str],
    start_ms: int,
    end_ms: int,
    known_before_ms: int,
    names: Collection[str] | None = None,
) -> list[Served]:
    """The hours from `start_ms` to before `end_ms` with answers; sketches that are not there are made and kept.

    Args: kinds: `number` or `text` of each feature; names: of those that are wanted, all by default; known_before_ms:
    answers served at that time or later are not looked at.
    """
    import pyarrow.compute as pc

    days = ingested_days(lake, predictions_of(system), since=day_of(start_ms) - CLOCK_SKEW)
    times = _read(lake, system, ("timestamp", "served_at"), days, start_ms, end_ms, known_before_ms)
    hour = pc.divide(times.column("timestamp"), HOUR_MS)
    found = []
    for at in sorted(pc.unique(hour).to_pylist()):
        of_hour = times.filter(pc.equal(hour, at)).sort_by([("timestamp", "ascending"), ("served_at", "ascending")])
        mark = _mark(of_hour, kinds)
        url = layout.sketches(lake, system, datetime.fromtimestamp(at * HOUR_MS / 1000, tz=UTC))
        kept = _kept(url, mark)
        if kept is None:
            kept = _sketched(lake, system, kinds, days, at * HOUR_MS, known_before_ms)
            _keep(url, mark, kept)
        found.append(kept.served(at * HOUR_MS, kinds if names is None else names))
    return found


def served_by(lake: str, system: str, start_ms: int, end_ms: int, known_before_ms: int) -> dict[str, int]:
    """How many answers from `start_ms` to before `end_ms` each set of models gave, by their JSON text in the lake."""
    import pyarrow.compute as pc

    days = ingested_days(lake, predictions_of(system), since=day_of(start_ms) - CLOCK_SKEW)
    models = _read(lake, system, ("models",), days, start_ms, end_ms, known_before_ms).column("models")
    return {each["values"]: each["counts"] for each in pc.value_counts(models.combine_chunks()).to_pylist()}


def _read(
    lake: str,
    system: str,
    columns: Sequence[str],
    days: Sequence[date],
    start_ms: int,
    end_ms: int,
    known_before_ms: int,
) -> pa.Table:
    import pyarrow.dataset as ds

    at = ds.field("timestamp")
    inside = (at >= start_ms) & (at < end_ms) & (ds.field("served_at") < known_before_ms)
    return read_answers(lake, system, columns, days=days, where=inside)


def _mark(times: pa.Table, kinds: Mapping[str, str]) -> str:
    """Says which answers, and which features of them, the sketches of an hour are of."""
    digest = hashlib.sha256(orjson.dumps(sorted(kinds.items())))
    for name in times.column_names:
        digest.update(times.column(name).to_numpy().astype(np.int64).tobytes())
    return digest.hexdigest()


def _kept(url: str, mark: str) -> _Sketches | None:
    fs, folder = open_lake(url)
    try:
        columns, about = load_sketches(fs.cat_file(f"{folder}/{FILE}"), f"{folder}/{FILE}")
    except (FileNotFoundError, SketchFileError):
        return None  # What cannot be read is made again, as what is not there.
    if about.get("mark") != mark:
        return None
    scores = {name: columns.pop(name) for name in list(columns) if name.startswith(SCORES_OF)}
    by_version = {name.removeprefix(SCORES_OF): s for name, s in scores.items() if isinstance(s, NumberSketch)}
    return _Sketches(columns, by_version, about["rows"])


def _keep(url: str, mark: str, served: _Sketches) -> None:
    columns = {**served.features, **{f"{SCORES_OF}{version}": s for version, s in served.scores.items()}}
    with replacing(url) as staging:
        fs, folder = open_lake(staging)
        fs.pipe_file(f"{folder}/{FILE}", dump_sketches(columns, {"mark": mark, "rows": served.rows}))


def _sketched(
    lake: str, system: str, kinds: Mapping[str, str], days: Sequence[date], start_ms: int, known_before_ms: int
) -> _Sketches:
    columns = ("request_id", "event_id", "timestamp", "outputs", "models", "features")
    answers = _read(lake, system, columns, days, start_ms, start_ms + HOUR_MS, known_before_ms)
    # The lake gives rows in no order, and holds some twice.
    answers = answers.sort_by([("timestamp", "ascending"), ("request_id", "ascending"), ("event_id", "ascending")])
    served = _Sketches(
        {name: TextSketch() if kind == TextSketch.kind else NumberSketch() for name, kind in kinds.items()}
    )
    seen: set[tuple[str, str]] = set()
    for batch in answers.to_batches(max_chunksize=BATCH):
        rows = [row for row in _once(batch.to_pylist(), seen) if row["features"] != "{}"]
        given = [orjson.loads(row["features"]) for row in rows]
        for name, sketch in served.features.items():
            sketch.update(column_of([each.get(name) for each in given], sketch.kind))
        for version, scores in _scores(rows).items():
            served.scores.setdefault(version, NumberSketch()).update(np.array(scores, np.float64))
        served.rows += len(rows)
    return served


def _once(rows: list[dict[str, Any]], seen: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        # Two answers may have one request id, as clients give it.
        if (key := (row["request_id"], row["event_id"])) not in seen:
            seen.add(key)
            yield row


def _scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The first output of each answer that a model gave, by the model's version."""
    found: dict[str, list[float]] = {}
    for row in rows:
        outputs, models = orjson.loads(row["outputs"]), orjson.loads(row["models"])
        if outputs and MODEL in models:
            found.setdefault(str(models[MODEL]["version"]), []).append(float(next(iter(outputs.values()))))
    return found


def column_of(values: list[Any], kind: str) -> np.ndarray[Any, Any]:
    """A feature's values as a sketch takes them. What is of the other kind is no value of it: missing."""
    if kind == TextSketch.kind:
        return np.array([value if isinstance(value, str) else None for value in values], object)
    numbers = [value if isinstance(value, int | float) else np.nan for value in values]
    return np.array(numbers, np.float64)

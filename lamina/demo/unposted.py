"""Days that go by without being posted: their events, and what the version that serves makes of each, in the lake.

A fortnight posted request by request would take longer than the rest of the demo. So the features of a request are
those of the offline engine, which parity holds what is served to; the score is that of the version that serves; and the
answer is the system's own, at the place in the lake where the archive would have put it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from lamina.clock import day_of
from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.definitions import load
from lamina.demo.judged import Judged
from lamina.demo.sources import put_days
from lamina.demo.story import SecondAct, Story
from lamina.features.training import training_set
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, row_of, without_position
from lamina.lake.write import SourceWriter
from lamina.registry.protocol import ModelRegistry, ModelVersion
from lamina.scoring.checked import column
from lamina.scoring.encode import as_input
from lamina.scoring.load import load as load_model
from lamina.scoring.protocol import Scorer, Value

SOURCE = "unposted"
"""Names the files of these days in the lake."""

Scored = tuple[Mapping[str, Any], Mapping[str, Value], float]
"""A request's event, its features and its score."""


def put_events(act: SecondAct, lake_url: str, days: Sequence[int]) -> dict[str, int]:
    """Put the events of days of the changed world into the lake; returns rows by topic."""
    return put_days(act.world, days, lake_url, SOURCE)


def put_answers(
    story: Story,
    act: SecondAct,
    lake_url: str,
    registry: ModelRegistry,
    version: ModelVersion,
    folder: Path,
    days: Sequence[int],
    *,
    also: Sequence[int] = (),
) -> list[Judged]:
    """Answer the requests of `days`, whose events lie in the lake, by `version`, and put the answers there.

    Args: folder: that of the stack; also: further days, which are scored and no more.
    Returns: all of them, with what is true.
    """
    request, unit = load(story.system).request, load(story.system).entities[0].key
    events = pa.concat_tables([act.world.day(n)[story.asked.topic] for n in (*also, *days)])
    with tempfile.TemporaryDirectory(prefix="lamina-demo-model-") as name:
        scorer = load_model(registry.download(version.name, version.version, Path(name)))
    scored = _scored(story.system, lake_url, story.asked.of(events), scorer)
    answering = act.answering(folder, scorer, version)
    first = act.world.date_of(days[0])
    answers = (answering(*one) for one in scored if day_of(one[0][request.timestamp]) >= first)
    _write(lake_url, predictions_of(story.system), answers)
    positives = frozenset[str]().union(*(act.positives(n) for n in (*also, *days)))
    return [
        Judged(
            day_of(event[request.timestamp]), version.version, score, event[request.id] in positives, str(event[unit])
        )
        for event, _, score in scored
    ]


def _scored(system: str, lake_url: str, events: pa.Table, scorer: Scorer) -> list[Scored]:
    """Each request with its features as they were then, and its score."""
    features = load(system)
    found = pa.Table.from_pandas(training_set(events, features, events=lake_url), preserve_index=False)
    inputs = {name: as_input(found[name]) for name in scorer.names}
    scores = column(scorer.predict_columns(inputs, found.num_rows)[scorer.outputs[0]], found.num_rows)
    values = found.select(features.names).to_pylist()
    return list(zip(events.to_pylist(), values, scores.tolist(), strict=True))


def _write(lake_url: str, topic: str, answers: Iterable[Served]) -> None:
    by_day: dict[date, list[dict[str, Any]]] = {}
    for served in answers:
        by_day.setdefault(day_of(served.timestamp), []).append(row_of(served))
    with SourceWriter(layout.topic(lake_url, topic), SOURCE) as writer:
        for day, rows in by_day.items():
            table = pa.Table.from_pylist(rows, schema=SCHEMAS[topic])
            writer.add(layout.ingested(day), without_position(table))
        writer.commit()

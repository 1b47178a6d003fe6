"""Answers of a system with what was known of them at a time, as arrays.

An answer is judged once its label is complete: so long after it as the label's delay. Before that, those of which
something was said are mostly positive, as nobody reports that nothing happened, and would make any model look good.
So the label of a row has to be complete when the row was joined, too, which is before anybody asks for a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lamina.contracts.systems import System
from lamina.evaluation.decided import counts_for
from lamina.evaluation.metrics import Flags, Floats, Ints, Texts, day_number
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table
from lamina.lake.joined import ASSUMED, SAID, WAITING

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COLUMNS = ("label", "label_timestamp", "label_status")
COLUMNS = (
    *("request_id", "timestamp", "subjects", "score", "action", "intended", "propensity", "model_version", "arm"),
    *("shadow", *LABEL_COLUMNS, "features", "payload"),
)
SETTLED = "_settled"


@dataclass(frozen=True)
class Rows:
    """Answers by a model in order of time, one array each. Whose label is not complete yet is not `known`, and never
    positive.

    version: texts. arm: texts, None where no experiment ran. score: float64[n]. flagged: float64[n], 1 where the system
    took it for positive, NaN of a shadow of a system that acts. weight: for how many rows each counts, 0 where its
    truth cannot be known. told_at: when its label became known, epoch ms, NaN where nothing was said. said: of all of
    them, how many labels had come before they were complete.
    """

    request: Texts
    unit: Texts
    timestamp: Ints
    version: Texts
    arm: Texts
    shadow: Flags
    score: Floats
    flagged: Floats
    known: Flags
    positive: Flags
    weight: Floats
    told_at: Floats
    features: Texts
    payload: Texts
    said: int = 0

    def __len__(self) -> int:
        return len(self.request)

    @property
    def day(self) -> Ints:
        """int64[n], days since the epoch, UTC."""
        return day_number(self.timestamp)

    def take(self, rows: Flags | Ints) -> Rows:
        """The rows chosen by a mask or by their places."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items() if name != "said"})


def read_rows(system: System, joined: pa.Table, known_before_ms: int, unit: str = "") -> Rows:
    """The answers by a model among joined rows, as they stood at a time.

    Args: joined: with `COLUMNS`; known_before_ms: labels that became known at that time or later are not looked at;
    unit: key of the entity whose rows are no independent evidence, else the first subject is it.
    """
    joined = joined.append_column(SETTLED, [_settled(joined)])
    joined = joined.filter(joined.column("score").is_valid())
    # The lake gives rows in no order, and the same rows have to give the same figures.
    joined = joined.sort_by(
        [(name, "ascending") for name in ("timestamp", "request_id", "shadow", "model_version", "arm")]
    )
    column = {name: joined.column(name) for name in (*COLUMNS, SETTLED)}
    timestamp = column["timestamp"].to_numpy().astype(np.int64)
    shadow = column["shadow"].to_numpy(zero_copy_only=False).astype(bool)
    said, complete = _labels(system, column, timestamp, known_before_ms)
    label = np.nan_to_num(column["label"].to_numpy(zero_copy_only=False).astype(np.float64))
    texts = {name: _texts(column[name]) for name in ("action", "intended", "propensity", "model_version", "arm")}
    score = column["score"].to_numpy().astype(np.float64)
    return Rows(
        request=_texts(column["request_id"]),
        unit=_units(system, unit, column["subjects"].to_pylist()),
        timestamp=timestamp,
        version=texts["model_version"],
        arm=texts["arm"],
        shadow=shadow,
        score=score,
        flagged=_flagged(system, texts, score, shadow),
        known=complete,
        positive=said & complete & (label > 0),
        weight=_weights(system, texts, said, shadow, _texts(column["request_id"])),
        told_at=column["label_timestamp"].to_numpy(zero_copy_only=False).astype(np.float64),
        features=_texts(column["features"]),
        payload=_texts(column["payload"]),
        said=int((said & ~complete & ~shadow).sum()),
    )


def delay_ms(system: System) -> int:
    """How long after an answer its label is complete."""
    return system.learnt_label.delay.ms


def complete_until(system: System, end_ms: int, known_before_ms: int) -> int:
    """Until when, epoch ms, the labels of the answers before `end_ms` are complete by what was known before a time."""
    return min(end_ms, known_before_ms - delay_ms(system))


def _labels(system: System, column: Mapping[str, Any], timestamp: Ints, known_before_ms: int) -> tuple[Flags, Flags]:
    """Of which rows something had been said by then, and whose label is complete."""
    status = _texts(column["label_status"])
    at = column["label_timestamp"].to_numpy(zero_copy_only=False).astype(np.float64)  # NaN where nothing was said
    said = (status == SAID) & (at < known_before_ms)
    over = timestamp + delay_ms(system) < known_before_ms
    # A row that still waited when it was joined may have been spoken of since.
    settled = column[SETTLED].to_numpy(zero_copy_only=False)
    return said, over & settled & np.isin(status.astype(str), (SAID, ASSUMED))


def _settled(joined: pa.Table) -> Flags:
    """Which rows had complete labels when they were joined, as far as their days show it: a day is joined as a whole,
    and silence is taken for negative in order of time. Where rows wait, what was said of others later than all those
    is early.
    """
    import pyarrow.compute as pc

    timestamp = joined.column("timestamp").to_numpy().astype(np.int64)
    assumed, waits = (
        pc.equal(joined.column("label_status"), status).to_numpy(zero_copy_only=False).astype(bool)
        for status in (ASSUMED, WAITING)
    )
    days, place = np.unique(day_number(timestamp), return_inverse=True)
    last, whole = np.full(len(days), -1, np.int64), np.ones(len(days), bool)
    np.maximum.at(last, place[assumed], timestamp[assumed])
    whole[place[waits]] = False
    found: Flags = whole[place] | (timestamp <= last[place])
    return found


def _flagged(system: System, texts: Mapping[str, Texts], score: Floats, shadow: Flags) -> Floats:
    watching = system.watching
    if not watching.alarms:
        return (score >= watching.flagged_from).astype(np.float64)
    # What it would have done counts where chance let a row through: that is by the thresholds in force.
    meant = [intended or action for intended, action in zip(texts["intended"], texts["action"], strict=True)]
    return np.where(shadow, np.nan, np.isin(np.array(meant, dtype=str), watching.alarms).astype(np.float64))


def _weights(system: System, texts: Mapping[str, Texts], said: Flags, shadow: Flags, request: Texts) -> Floats:
    """Those of `lamina.evaluation.decided`; a shadow's row counts as the answer that was given does."""
    found = np.ones(len(request))
    decided = list(zip(texts["action"], texts["propensity"], texts["intended"], said, strict=True))
    for withholding in system.watching.withholding:
        for i, (action, propensity, intended, labelled) in enumerate(decided):
            found[i] *= counts_for(withholding, action, propensity, intended, labelled=bool(labelled))
    answered = dict(zip(request[~shadow], found[~shadow], strict=True))
    found[shadow] = [answered.get(of, 1.0) for of in request[shadow]]
    return found


def _units(system: System, unit: str, subjects: list[str]) -> Texts:
    entity = next((each.name for each in system.entities if each.key == unit), None)
    found = []
    for text in subjects:
        ids = orjson.loads(text)
        found.append(str(ids[entity]) if entity in ids else str(next(iter(ids.values()))))
    return np.array(found, dtype=object)


def _texts(column: Any) -> Texts:
    return np.array(column.to_pylist(), dtype=object)


def as_table(problem: Problem, rows: Rows) -> Table:
    """The rows as slices look at them: features as they were used, further columns from features or payload, None where
    neither has them. A shadow has the features of the answer that was given, which has to be among the rows.
    """
    used = dict(zip(rows.request[~rows.shadow], range(int((~rows.shadow).sum())), strict=True))
    given = [orjson.loads(text) for text in rows.features[~rows.shadow]]
    payloads = [orjson.loads(text) for text in rows.payload[~rows.shadow]]
    places = [used.get(request) for request in rows.request]
    nothing: dict[str, Any] = {}
    features = [nothing if at is None else given[at] for at in places]
    payload = [nothing if at is None else payloads[at] for at in places]
    return Table(
        id=rows.request,
        inputs={name: _column([each.get(name) for each in features]) for name in problem.inputs},
        positive=rows.positive,
        unit=rows.unit,
        day=rows.day,
        columns={
            name: _column([own.get(name, beside.get(name)) for own, beside in zip(features, payload, strict=True)])
            for name in (*problem.columns, *problem.beside)
        },
        weight=rows.weight,
        waited=np.full(len(rows), np.nan),
    )


def _column(values: list[Any]) -> Any:
    """Numbers as float64, NaN where missing; anything else as objects."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=object)

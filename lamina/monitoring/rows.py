"""Answers of a system with what was known of them at a time, as arrays.

An answer is judged once its label is complete: so long after it as the label's delay. Before that, those of which
something was said are mostly positive, as nobody reports that nothing happened, and would make any model look good.
So the label of a row has to be complete when the row was joined, too, which is before anybody asks for a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lamina.contracts.systems import System
from lamina.evaluation.decided import counts_for
from lamina.evaluation.metrics import Flags, Floats, Ints, Texts, day_number
from lamina.evaluation.resample import owners
from lamina.lake import known
from lamina.lake.joined import ASSUMED, SAID, WAITING, read_joined
from lamina.monitoring.hours import days_between

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COLUMNS = ("label", "label_timestamp", "label_status")
COLUMNS = (
    *(
        "request_id",
        "event_id",
        "timestamp",
        "subjects",
        "score",
        "action",
        "intended",
        "propensity",
        "model_version",
        "arm",
    ),
    *("shadow", *LABEL_COLUMNS, *known.COLUMNS),
)
"""What a judgement of answers needs: not what they were made of, which is hundreds of times as much."""

PLACE = "_place"

Reader = Callable[[Sequence[str], int, int], "pa.Table"]
"""Gives columns of the joined rows of the days that hold a time from one, epoch ms, to before another."""


def reader(lake: str, system: str) -> Reader:
    """Reads the joined rows of `system` in the lake."""
    return lambda columns, start_ms, end_ms: read_joined(lake, system, columns, days=days_between(start_ms, end_ms))


@dataclass(frozen=True)
class Rows:
    """Answers by a model in order of time, one array each. Whose label is not complete yet is not `known`, and never
    positive.

    answer: of which a row is, texts that a shadow shares with the answer beside it. unit: texts; owner: int64[n], the
    place of each among all units in order. version: texts. arm: texts, None where no experiment ran. score: float64[n].
    flagged: float64[n], 1 where the system took it for positive, NaN of a shadow of a system that acts. weight: for how
    many rows each counts, 0 where its truth cannot be known. told_at: when its label became known, epoch ms, NaN where
    nothing was said. said: of all of them, how many labels had come before they were complete.
    """

    answer: Texts
    unit: Texts
    owner: Ints
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
    said: int = 0

    def __len__(self) -> int:
        return len(self.answer)

    @property
    def day(self) -> Ints:
        """int64[n], days since the epoch, UTC."""
        return day_number(self.timestamp)

    def take(self, rows: Flags | Ints | slice) -> Rows:
        """The rows chosen by a mask, by their places or as a slice."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items() if name != "said"})


@dataclass(frozen=True)
class Answers:
    """Joined rows, read once, to be looked at as of any time: `rows` as if nothing were known.

    Of the rows: weights, of a row of which nothing is known, and of one of which something is; answer, the place of the
    answer that was given, of a row in the shadow of one, -1 where that was not read. Of all rows that were read, those
    without a score too, in order of time: labels, what each said when, and `PLACE`, its place among the rows or -1.
    """

    system: System
    rows: Rows
    weights: tuple[Floats, Floats]
    answer: Ints
    labels: pa.Table

    @classmethod
    def of(cls, system: System, joined: pa.Table, unit: str = "") -> Answers:
        """The answers by a model among joined rows.

        Args: joined: with `COLUMNS`; unit: key of the entity whose rows are no independent evidence, else the first
        subject is it.
        """
        import pyarrow as pa

        # The lake gives rows in no order, and the same rows have to give the same figures.
        joined = joined.select(list(COLUMNS)).sort_by(
            [(name, "ascending") for name in ("timestamp", "request_id", "event_id", "shadow", "model_version", "arm")]
        )
        scored = joined.column("score").is_valid().to_numpy()
        place = np.where(scored, np.cumsum(scored) - 1, -1)
        labels = joined.select(["timestamp", *LABEL_COLUMNS, *known.COLUMNS]).append_column(PLACE, pa.array(place))
        joined = joined.filter(pa.array(scored))
        texts = {
            name: _texts(joined.column(name))
            for name in ("request_id", "event_id", "action", "intended", "propensity", "model_version", "arm")
        }
        score = joined.column("score").to_numpy(zero_copy_only=False).astype(np.float64)
        shadow = joined.column("shadow").to_numpy(zero_copy_only=False).astype(bool)
        subjects = _units(system, unit, joined.column("subjects").to_pylist())
        answer, n = answer_ids(texts["request_id"], texts["event_id"]), len(subjects)
        rows = Rows(
            answer=answer,
            unit=subjects,
            owner=owners(subjects)[1],
            timestamp=joined.column("timestamp").to_numpy().astype(np.int64),
            version=texts["model_version"],
            arm=texts["arm"],
            shadow=shadow,
            score=score,
            flagged=_flagged(system, texts, score, shadow),
            known=np.zeros(n, bool),
            positive=np.zeros(n, bool),
            weight=np.ones(n),
            told_at=np.full(n, np.nan),
        )
        return cls(
            system=system,
            rows=rows,
            weights=(_weights(system, texts, labelled=False), _weights(system, texts, labelled=True)),
            answer=_answers(answer, shadow),
            labels=labels,
        )

    def as_of(self, known_before_ms: int, start_ms: int | None = None, end_ms: int | None = None) -> Rows:
        """The rows from `start_ms` to before `end_ms`, or all, as they stood at a time: labels that became known at
        that time or later are not looked at, nor what a later join found.
        """
        import pyarrow.compute as pc

        first, end = _places(self.labels.column("timestamp").to_numpy(), start_ms, end_ms)
        stood = known.as_of(self.labels.slice(first, end - first), known_before_ms)
        at, place = (stood.column(name).to_numpy().astype(np.int64) for name in ("timestamp", PLACE))
        told, assumed, waits = (
            pc.equal(stood.column("label_status"), status).to_numpy(zero_copy_only=False).astype(bool)
            for status in (SAID, ASSUMED, WAITING)
        )
        label, told_at = (
            stood.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
            for name in ("label", "label_timestamp")
        )
        said = told & (told_at < known_before_ms)
        # A row that still waited when it was joined may have been spoken of since.
        complete = (at + delay_ms(self.system) < known_before_ms) & _settled(at, assumed, waits) & (told | assumed)
        of = place >= 0
        place, said, complete, label, told_at = (values[of] for values in (place, said, complete, label, told_at))
        weight = np.ones(len(self.rows))
        weight[place] = np.where(said, self.weights[1][place], self.weights[0][place])
        # A shadow's row counts as the answer that was given does.
        answer = self.answer[place]
        rows = self.rows.take(place)
        return replace(
            rows,
            known=complete,
            positive=said & complete & (label > 0),
            weight=np.where(answer < 0, 1.0, weight[answer]),
            told_at=told_at,  # NaN where nothing was said
            said=int((said & ~complete & ~rows.shadow).sum()),
        )


def read_rows(system: System, joined: pa.Table, known_before_ms: int, unit: str = "") -> Rows:
    """The answers by a model among joined rows, as they stood at a time: see `Answers`."""
    return Answers.of(system, joined, unit).as_of(known_before_ms)


def delay_ms(system: System) -> int:
    """How long after an answer its label is complete."""
    return system.learnt_label.delay.ms


def complete_until(system: System, end_ms: int, known_before_ms: int) -> int:
    """Until when, epoch ms, the labels of the answers before `end_ms` are complete by what was known before a time."""
    return min(end_ms, known_before_ms - delay_ms(system))


def _places(ascending: Ints, start_ms: int | None, end_ms: int | None) -> tuple[int, int]:
    """The first place from one time on, and the first from another on."""
    first = 0 if start_ms is None else int(np.searchsorted(ascending, start_ms))
    return first, len(ascending) if end_ms is None else int(np.searchsorted(ascending, end_ms))


def _settled(at: Ints, assumed: Flags, waits: Flags) -> Flags:
    """Which rows, of times `at`, had complete labels when they were joined, as far as their days show it: a day is
    joined as a whole, and silence is taken for negative in order of time. Where rows wait, what was said of others
    later than all those is early.
    """
    days, place = np.unique(day_number(at), return_inverse=True)
    last, whole = np.full(len(days), -1, np.int64), np.ones(len(days), bool)
    np.maximum.at(last, place[assumed], at[assumed])
    whole[place[waits]] = False
    found: Flags = whole[place] | (at <= last[place])
    return found


def _flagged(system: System, texts: Mapping[str, Texts], score: Floats, shadow: Flags) -> Floats:
    watching = system.watching
    if not watching.alarms:
        return (score >= watching.flagged_from).astype(np.float64)
    # What it would have done counts where chance let a row through: that is by the thresholds in force.
    meant = [intended or action for intended, action in zip(texts["intended"], texts["action"], strict=True)]
    return np.where(shadow, np.nan, np.isin(np.array(meant, dtype=str), watching.alarms).astype(np.float64))


def _weights(system: System, texts: Mapping[str, Texts], *, labelled: bool) -> Floats:
    """Those of `lamina.evaluation.decided`."""
    found = np.ones(len(texts["action"]))
    for withholding in system.watching.withholding:
        for i in np.flatnonzero((texts["action"] == withholding) | (texts["intended"] == withholding)):
            action, propensity, intended = (texts[name][i] for name in ("action", "propensity", "intended"))
            found[i] *= counts_for(withholding, action, propensity, intended, labelled=labelled)
    return found


def answer_ids(requests: Iterable[str], events: Iterable[str | None]) -> Texts:
    """What identifies answers: one request may ask about many events."""
    return np.array([f"{request}\0{event or ''}" for request, event in zip(requests, events, strict=True)], object)


def _answers(answer: Texts, shadow: Flags) -> Ints:
    """The place of the answer that was given, of each row; -1 where there is none."""
    found = np.arange(len(answer))
    given = dict(zip(answer[~shadow], found[~shadow], strict=True))
    found[shadow] = [given.get(of, -1) for of in answer[shadow]]
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

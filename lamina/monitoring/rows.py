"""Answers of a system with what was known of them at a time, as arrays.

An answer is judged once its label is complete: so long after it as the label's delay. Before that, those of which
something was said are mostly positive, as nobody reports that nothing happened, and would make any model look good.
So the label of a row has to be complete when the row was joined, too, which is before anybody asks for a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lamina.contracts.systems import System
from lamina.evaluation.decided import counts_for
from lamina.evaluation.metrics import Flags, Floats, Ints, Texts, day_number
from lamina.evaluation.resample import owners
from lamina.lake.joined import ASSUMED, SAID, WAITING, read_joined
from lamina.monitoring.hours import days_between

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COLUMNS = ("label", "label_timestamp", "label_status")
COLUMNS = (
    *("request_id", "timestamp", "subjects", "score", "action", "intended", "propensity", "model_version", "arm"),
    *("shadow", *LABEL_COLUMNS),
)
"""What a judgement of answers needs: not what they were made of, which is hundreds of times as much."""

Reader = Callable[[Sequence[str], int, int], "pa.Table"]
"""Gives columns of the joined rows of the days that hold a time from one, epoch ms, to before another."""


def reader(lake: str, system: str) -> Reader:
    """Reads the joined rows of `system` in the lake."""
    return lambda columns, start_ms, end_ms: read_joined(lake, system, columns, days=days_between(start_ms, end_ms))


@dataclass(frozen=True)
class Rows:
    """Answers by a model in order of time, one array each. Whose label is not complete yet is not `known`, and never
    positive.

    unit: texts; owner: int64[n], the place of each among all units in order. version: texts. arm: texts, None where no
    experiment ran. score: float64[n]. flagged: float64[n], 1 where the system took it for positive, NaN of a shadow of
    a system that acts. weight: for how many rows each counts, 0 where its truth cannot be known. told_at: when its
    label became known, epoch ms, NaN where nothing was said. said: of all of them, how many labels had come before they
    were complete.
    """

    request: Texts
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
        return len(self.request)

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

    Of the rows: told, whether something was said of each by whatever time; label, float64[n]; over, whether its label
    was complete when it was joined, if that of its day was; weights, of a row of which nothing is known, and of one of
    which something is; answer, the place of the answer that was given, of a row in the shadow of one, -1 where that was
    not read. Of all rows that were read, those without a score too: at, int64[m], times in order; assumed and waits,
    bool[m].
    """

    system: System
    rows: Rows
    told: Flags
    label: Floats
    over: Flags
    weights: tuple[Floats, Floats]
    answer: Ints
    at: Ints
    assumed: Flags
    waits: Flags

    @classmethod
    def of(cls, system: System, joined: pa.Table, unit: str = "") -> Answers:
        """The answers by a model among joined rows.

        Args: joined: with `COLUMNS`; unit: key of the entity whose rows are no independent evidence, else the first
        subject is it.
        """
        import pyarrow.compute as pc

        # The lake gives rows in no order, and the same rows have to give the same figures.
        joined = joined.select(list(COLUMNS)).sort_by(
            [(name, "ascending") for name in ("timestamp", "request_id", "shadow", "model_version", "arm")]
        )
        assumed, waits = (
            pc.equal(joined.column("label_status"), status).to_numpy(zero_copy_only=False).astype(bool)
            for status in (ASSUMED, WAITING)
        )
        at = joined.column("timestamp").to_numpy().astype(np.int64)
        joined = joined.filter(joined.column("score").is_valid())
        texts = {
            name: _texts(joined.column(name))
            for name in ("request_id", "action", "intended", "propensity", "model_version", "arm", "label_status")
        }
        numbers = {
            name: joined.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
            for name in ("score", "label", "label_timestamp")
        }
        shadow = joined.column("shadow").to_numpy(zero_copy_only=False).astype(bool)
        subjects = _units(system, unit, joined.column("subjects").to_pylist())
        n = len(subjects)
        rows = Rows(
            request=texts["request_id"],
            unit=subjects,
            owner=owners(subjects)[1],
            timestamp=joined.column("timestamp").to_numpy().astype(np.int64),
            version=texts["model_version"],
            arm=texts["arm"],
            shadow=shadow,
            score=numbers["score"],
            flagged=_flagged(system, texts, numbers["score"], shadow),
            known=np.zeros(n, bool),
            positive=np.zeros(n, bool),
            weight=np.ones(n),
            told_at=numbers["label_timestamp"],  # NaN where nothing was said
        )
        return cls(
            system=system,
            rows=rows,
            told=texts["label_status"] == SAID,
            label=np.nan_to_num(numbers["label"]),
            over=np.isin(texts["label_status"].astype(str), (SAID, ASSUMED)),
            weights=(_weights(system, texts, labelled=False), _weights(system, texts, labelled=True)),
            answer=_answers(texts["request_id"], shadow),
            at=at,
            assumed=assumed,
            waits=waits,
        )

    def as_of(self, known_before_ms: int, start_ms: int | None = None, end_ms: int | None = None) -> Rows:
        """The rows from `start_ms` to before `end_ms`, or all, as they stood at a time: labels that became known at
        that time or later are not looked at.
        """
        every, read = self.rows, slice(*_places(self.at, start_ms, end_ms))
        window = slice(*_places(every.timestamp, start_ms, end_ms))
        said = self.told & (every.told_at < known_before_ms)
        weight = np.where(said, self.weights[1], self.weights[0])
        # A shadow's row counts as the answer that was given does.
        weight = np.where(self.answer < 0, 1.0, weight[self.answer])[window]
        rows, said = every.take(window), said[window]
        # A row that still waited when it was joined may have been spoken of since.
        settled = _settled(self.at[read], self.assumed[read], self.waits[read], rows.timestamp)
        complete = (rows.timestamp + delay_ms(self.system) < known_before_ms) & settled & self.over[window]
        return replace(
            rows,
            known=complete,
            positive=said & complete & (self.label[window] > 0),
            weight=weight,
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


def _settled(at: Ints, assumed: Flags, waits: Flags, timestamp: Ints) -> Flags:
    """Which rows, of `timestamp`, had complete labels when they were joined, as far as their days show it: a day is
    joined as a whole, and silence is taken for negative in order of time. Where rows wait, what was said of others
    later than all those is early.

    Args: at, assumed, waits: of all rows of the days.
    """
    days, place = np.unique(day_number(at), return_inverse=True)
    last, whole = np.full(len(days), -1, np.int64), np.ones(len(days), bool)
    np.maximum.at(last, place[assumed], at[assumed])
    whole[place[waits]] = False
    own = np.searchsorted(days, day_number(timestamp))
    found: Flags = whole[own] | (timestamp <= last[own])
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


def _answers(request: Texts, shadow: Flags) -> Ints:
    """The place of the answer that was given to each row's request; -1 where there is none."""
    found = np.arange(len(request))
    given = dict(zip(request[~shadow], found[~shadow], strict=True))
    found[shadow] = [given.get(of, -1) for of in request[shadow]]
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

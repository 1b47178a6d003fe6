"""How well the models of a system probably do on answers whose labels have not come yet: the report of an hour.

An example, with labels that take seven days: on 21 August the answers of the 14th and later have none. What scores mean
is learnt from answers whose labels are complete by then, and the figures of the later ones are what these scores make
likely. A week later, the 21st is judged, and the estimate that was made on the evening of that day is held against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.contracts.systems import System
from lamina.monitoring.cbpe import Estimator, expected
from lamina.monitoring.fallen import alerts_of
from lamina.monitoring.forms import Calibration, Estimate, EstimatedPart, EstimatedReport, Figure
from lamina.monitoring.performance import too_few
from lamina.monitoring.reports import Alert, Window
from lamina.monitoring.rows import Answers, Rows, delay_ms

DAYS = 14
"""Days that are estimated one by one, back from the first whose labels are complete."""
REFERENCE_DAYS = 28
"""The estimate is learnt from so many days of answers with complete labels."""
RANKING = ("auc", "average_precision")
"""Figures that need no action."""


@dataclass(frozen=True)
class Learnt:
    """What is known of a version's scores at a time; `estimator` is None where there are too few rows, for `reason`."""

    rows: int
    estimator: Estimator | None
    realised: Mapping[str, float]
    names: tuple[str, ...]
    reason: str = ""

    @property
    def calibration(self) -> Calibration:
        """How its scores mean what they say."""
        if self.estimator is None:
            return "none"
        return "as given" if self.estimator.calibrate is None else "isotonic"


def times_to_read(system: System, end_ms: int) -> tuple[int, int]:
    """The times from which and before which answers are needed, epoch ms."""
    return _window(system, end_ms).start_ms - delay_ms(system) - REFERENCE_DAYS * DAY_MS, end_ms


def estimated(system: System, joined: pa.Table, *, end_ms: int, known_before_ms: int) -> EstimatedReport:
    """The report of an hour that ends at `end_ms`, of joined rows of `times_to_read`.

    Args: known_before_ms: labels that became known at that time or later are not looked at.
    """
    window = _window(system, end_ms)
    answers = Answers.of(system, joined)
    every = answers.as_of(known_before_ms)
    served = every.take(~every.shadow & (every.timestamp >= window.start_ms) & (every.timestamp < end_ms))
    recent = Window(start_ms=end_ms - system.watching.days * DAY_MS, end_ms=end_ms)
    late = served.take(served.timestamp >= recent.start_ms)
    now = _references(answers, min(end_ms, known_before_ms))
    parts, alerts = [], []
    for version in sorted({str(version) for version in late.version}):
        own = late.take(late.version == version)
        learnt = _learnt(now, version, system.watching.min_rows)
        part = _estimate(EstimatedPart(model_version=version, rows=len(own)), own, learnt)
        parts.append(part)
        alerts += list(_alerts(system, part, learnt.realised, recent.start_ms))
    days = list(_days(answers, served, min(end_ms, known_before_ms)))
    return EstimatedReport(
        system=system.name,
        known_before_ms=known_before_ms,
        window=window,
        recent=recent,
        parts=(*parts, *days),
        mean_error=_mean_error(days),
        alerts=tuple(alerts),
        no_verdict="" if len(served) else "nothing was answered by a model in the window",
    )


def _window(system: System, end_ms: int) -> Window:
    start = day_of(end_ms - delay_ms(system)) - timedelta(days=DAYS)
    return Window(start_ms=midnight_ms(start), end_ms=end_ms)


def _references(answers: Answers, at_ms: int) -> Rows:
    """Answers and shadows with labels that were complete by `at_ms`, as far as anybody could know them then."""
    last = at_ms - delay_ms(answers.system)
    rows = answers.as_of(at_ms, last - REFERENCE_DAYS * DAY_MS, last)
    return rows.take(rows.known & (rows.weight > 0))


def _learnt(reference: Rows, version: str, few: int) -> Learnt:
    """Of a version, from its answers, or where these are too few, from what it said in the shadow of another."""
    own = reference.take(reference.version == version)
    answers, shadows = own.take(~own.shadow), own.take(own.shadow)
    reason = too_few(len(answers), int(answers.positive.sum()), few)
    rows = answers
    if reason and not too_few(len(shadows), int(shadows.positive.sum()), few):
        rows, reason = shadows, ""
    if reason:
        return Learnt(len(rows), None, {}, (), f"what scores of version {version} mean is not known: {reason}")
    acted = not np.isnan(rows.flagged).any()
    realised = expected(rows.positive.astype(np.float64), rows.score, rows.flagged > 0)
    names = tuple(name for name in realised if acted or name in RANKING)
    return Learnt(len(rows), Estimator.of(rows.positive, rows.score, rows.flagged), realised, names)


def _estimate(part: EstimatedPart, rows: Rows, learnt: Learnt) -> EstimatedPart:
    if learnt.estimator is None:
        return part.model_copy(update={"reference_rows": learnt.rows, "no_verdict": learnt.reason})
    return part.model_copy(
        update={
            "reference_rows": learnt.rows,
            "calibration": learnt.calibration,
            "figures": _figures(learnt, rows),
        }
    )


def _figures(learnt: Learnt, rows: Rows) -> dict[str, Estimate]:
    assert learnt.estimator is not None, "asked only where something was learnt"
    found = learnt.estimator.estimate(rows.score, rows.flagged)
    return {name: figure for name, figure in found.items() if name in learnt.names}


def _days(answers: Answers, served: Rows, now_ms: int) -> Iterator[EstimatedPart]:
    """Each day by what was known at its end; held against the truth where labels are complete by now."""
    for day in np.unique(served.day):
        of_day = served.take(served.day == day)
        over_ms = (int(day) + 1) * DAY_MS
        reference = _references(answers, min(over_ms, now_ms))
        for version in sorted({str(version) for version in of_day.version}):
            own = of_day.take(of_day.version == version)
            learnt = _learnt(reference, version, answers.system.watching.min_rows)
            name = EstimatedPart(model_version=version, day=day_of(int(day) * DAY_MS).isoformat(), rows=len(own))
            part = _estimate(name, own, learnt)
            if learnt.estimator is not None and own.known.all():
                part = _held_against(part, own.take(own.weight > 0), learnt)
            yield part


def _held_against(part: EstimatedPart, judged: Rows, learnt: Learnt) -> EstimatedPart:
    if not len(judged):
        return part
    truth = expected(judged.positive.astype(np.float64), judged.score, judged.flagged > 0)
    realised = {name: value for name, value in truth.items() if name in learnt.names and not np.isnan(value)}
    guessed = _figures(learnt, judged)
    error = {name: guessed[name].value - value for name, value in realised.items() if name in guessed}
    return part.model_copy(update={"realised": realised, "error": error})


def _mean_error(days: list[EstimatedPart]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for part in days:
        for name, error in part.error.items():
            found[part.model_version][name].append(abs(error))
    return {version: {name: float(np.mean(each)) for name, each in own.items()} for version, own in found.items()}


def _alerts(system: System, part: EstimatedPart, realised: Mapping[str, float], since_ms: int) -> Iterator[Alert]:
    """As of figures by labels, but a warning: what scores make likely is no proof."""
    figures = {name: Figure(value=e.value, low=e.low, high=e.high) for name, e in part.figures.items()}
    for alert in alerts_of(system.watching, f"version {part.model_version}", figures, realised):
        yield alert.model_copy(
            update={
                "name": f"estimated_{alert.name}",
                "severity": "warning",
                "message": f"estimated: {alert.message}",
                "since_ms": since_ms,
            }
        )

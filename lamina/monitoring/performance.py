"""How well the models of a system did, by answers whose labels are complete: the report of an hour.

An example, with labels that take seven days: the report of 21 August, 07:00, gives figures of the answers up to
14 August, 07:00, by day, version, arm and slice. Its verdict, and so its alerts, are of each version's last days among
them, taken together. Where there is too little to go by it says so, and nobody may take that for a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa

from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.evaluation.metrics import Flags, Outcomes, without_known
from lamina.evaluation.problem import Problem
from lamina.evaluation.resample import differences
from lamina.lake.known import as_of
from lamina.monitoring.fallen import alerts_of
from lamina.monitoring.figures import RESAMPLES, Weighed, measure
from lamina.monitoring.forms import Beside, Counts, Group, PerformanceReport
from lamina.monitoring.inputs import as_table, columns_of
from lamina.monitoring.reports import Alert, Window
from lamina.monitoring.rows import COLUMNS, Reader, Rows, complete_until, delay_ms, read_rows
from lamina.orchestration.days import TRAIN_DAYS

DAYS = 14
"""Days that are looked at one by one, back from the newest answers whose labels can be complete."""

Baselines = Mapping[str, Mapping[str, float]]
"""Figures of each version's own evaluation, by version."""


def days_to_read(problem: Problem, end_ms: int, known_before_ms: int, days: int = DAYS) -> tuple[int, int]:
    """The times from which and before which answers are needed, epoch ms: those of the window, and those before it
    whose units are known by it.
    """
    start = window_of(problem, end_ms, known_before_ms, days).start_ms
    return start - TRAIN_DAYS * DAY_MS - delay_ms(problem.record), end_ms


def window_of(problem: Problem, end_ms: int, known_before_ms: int, days: int = DAYS) -> Window:
    """From a midnight on, so many days of answers whose labels can be complete, and all later ones up to `end_ms`."""
    complete = complete_until(problem.record, end_ms, known_before_ms)
    return Window(start_ms=midnight_ms(day_of(complete) - timedelta(days=days)), end_ms=end_ms)


def performance(
    problem: Problem,
    read: Reader,
    baselines: Callable[[Sequence[str]], Baselines],
    *,
    end_ms: int,
    known_before_ms: int,
    days: int = DAYS,
    resamples: int = RESAMPLES,
) -> PerformanceReport:
    """The report of an hour that ends at `end_ms`.

    Args: read: gives joined rows, of `days_to_read` and, for slices, of the last days; baselines: gives the figures of
    versions' own evaluations; known_before_ms: labels that became known at that time or later are not looked at;
    resamples: draws an interval is made of.
    """
    window = window_of(problem, end_ms, known_before_ms, days)
    joined = read(COLUMNS, *days_to_read(problem, end_ms, known_before_ms, days))
    every = read_rows(problem.record, joined, known_before_ms, problem.unit)
    inside = (every.timestamp >= window.start_ms) & (every.timestamp < window.end_ms)
    complete = inside & every.known
    seen = complete & (every.weight > 0)
    judged = _strangers(problem, every, seen) if problem.known_leave else seen
    rows = every.take(judged)
    last = complete_until(problem.record, end_ms, known_before_ms)
    recent = Window(start_ms=last - problem.record.watching.days * DAY_MS, end_ms=last)
    late = rows.take(rows.timestamp >= recent.start_ms)
    given = read(columns_of(problem), recent.start_ms, recent.end_ms) if len(late) else None
    groups = tuple(_groups(problem, rows, late, given, resamples))
    found = baselines(sorted({group.model_version for group in groups if not group.shadow}))
    served = ~every.shadow
    report = PerformanceReport(
        system=problem.system,
        known_before_ms=known_before_ms,
        window=window,
        recent=recent,
        counts=Counts(
            answers=int((inside & served).sum()),
            unscored=_unscored(as_of(joined, known_before_ms), window),
            waiting=int((inside & served & ~every.known).sum()),
            said_early=every.take(inside).said,
            unknown=int((complete & served & (every.weight == 0)).sum()),
            known=int((seen & ~judged & served).sum()),
            judged=int((judged & served).sum()),
        ),
        baselines={version: dict(figures) for version, figures in found.items()},
        groups=groups,
        empty_days=tuple(_empty_days(window, recent, rows)),
        beside=tuple(_beside(late, problem.record.watching.min_rows, resamples)),
        no_verdict="" if groups else "no answer of the window has a complete label",
    )
    return report.model_copy(update={"alerts": tuple(_alerts(problem, report))})


def _alerts(problem: Problem, report: PerformanceReport) -> Iterator[Alert]:
    for group in report.groups:
        if group.is_whole and not group.shadow and not group.no_verdict:
            own = report.baselines.get(group.model_version, {})
            for alert in alerts_of(problem.record.watching, f"version {group.model_version}", group.figures, own):
                yield alert.model_copy(update={"since_ms": report.recent.start_ms})


def _strangers(problem: Problem, every: Rows, seen: Flags) -> Flags:
    """Of the rows `seen`, those of units of which no positive row was known by then, as in a version's evaluation."""
    if not len(every):
        return seen
    delay_days = -(-delay_ms(problem.record) // DAY_MS)
    return without_known(
        every.owner, every.day, every.positive, first=int(every.day.min()), delay_days=delay_days, rows=seen
    )


def _empty_days(window: Window, recent: Window, judged: Rows) -> Iterator[str]:
    there = set((judged.day * DAY_MS).tolist())
    for start_ms in range(window.start_ms, recent.end_ms - DAY_MS + 1, DAY_MS):
        if start_ms not in there:
            yield day_of(start_ms).isoformat()


def _unscored(joined: pa.Table, window: Window) -> int:
    at = joined.column("timestamp").to_numpy()
    empty = joined.column("score").is_null().to_numpy(zero_copy_only=False)
    shadow = joined.column("shadow").to_numpy(zero_copy_only=False)
    return int((empty & ~shadow & (at >= window.start_ms) & (at < window.end_ms)).sum())


def _groups(problem: Problem, rows: Rows, recent: Rows, given: pa.Table | None, resamples: int) -> Iterator[Group]:
    few = problem.record.watching.min_rows
    for version, shadow in sorted({(str(v), bool(s)) for v, s in zip(rows.version, rows.shadow, strict=True)}):
        own, late = (each.take((each.version == version) & (each.shadow == shadow)) for each in (rows, recent))
        name = Group(model_version=version, shadow=shadow, rows=0, positives=0)
        if len(late):
            yield _group(name, late, few, resamples)
        for arm in sorted({str(arm) for arm in late.arm if arm is not None}):
            yield _group(name.model_copy(update={"arm": arm}), late.take(late.arm == arm), few, resamples)
        for day in np.unique(own.day):
            of_day = name.model_copy(update={"day": day_of(int(day) * DAY_MS).isoformat()})
            yield _group(of_day, own.take(own.day == day), few, resamples)
        if len(late) and not shadow and given is not None:
            for part, members in problem.slices(as_table(problem, late, given)):
                if members.any():
                    yield _group(name.model_copy(update={"slice": part}), late.take(members), few, resamples)


def _group(name: Group, rows: Rows, few: int, resamples: int) -> Group:
    positives = int(rows.positive.sum())
    reason = too_few(len(rows), positives, few)
    weighed = Weighed.of(rows.positive, rows.score, rows.flagged, rows.weight)
    figures = measure(weighed, rows.owner, resamples=resamples)
    if not reason and figures["auc"].high is None:
        reason = f"the {positives} positive rows are of too few units for an interval"
    return name.model_copy(
        update={
            "rows": len(rows),
            "positives": positives,
            "let_through": int((rows.weight > 1).sum()),
            "figures": figures,
            "no_verdict": reason,
        }
    )


def too_few(rows: int, positives: int, few: int) -> str:
    """Why so many rows say nothing; "" where they do.

    >>> too_few(900, 12, 30), too_few(900, 30, 30)
    ('12 of 900 rows are positive: 30 of each kind are needed', '')
    """
    if min(positives, rows - positives) >= few:
        return ""
    return f"{positives} of {rows} rows are positive: {few} of each kind are needed"


def _beside(recent: Rows, few: int, resamples: int) -> Iterator[Beside]:
    """Every version in the shadow of another, on the answers that both have scored."""
    given = {answer: i for i, answer in enumerate(recent.answer) if not recent.shadow[i]}
    pairs: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for i in np.flatnonzero(recent.shadow):
        if (at := given.get(recent.answer[i])) is not None:
            key = (str(recent.version[i]), str(recent.arm[i] or ""), str(recent.version[at]))
            pairs.setdefault(key, []).append((int(i), at))
    for (version, arm, champion), places in sorted(pairs.items()):
        theirs, ours = (recent.take(np.array(side, np.int64)) for side in zip(*places, strict=True))
        positives = int(ours.positive.sum())
        reason = too_few(len(ours), positives, few)
        outcomes = Outcomes(ours.positive, theirs.score, ours.owner, ours.day)
        yield Beside(
            model_version=version,
            arm=arm or None,
            champion=champion,
            rows=len(ours),
            positives=positives,
            differences={} if reason else dict(differences(outcomes, ours.score, resamples=resamples)),
            no_verdict=reason,
        )

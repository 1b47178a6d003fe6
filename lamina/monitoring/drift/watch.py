"""What drifted, by the answers in the lake and the labels that came: the report of an hour.

Features and scores are those of `Watching.drift_hours` up to the end of the hour, a whole day: a part of one differs
from any day by its hours alone. What is of the day of the week is looked at over a whole week. Labels are those of the
last `Watching.label_days` of answers whose labels are complete, the AUC that of the last `Watching.days` of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet
from lamina.contracts.served import MODEL
from lamina.contracts.systems import System
from lamina.contracts.watching import Watching
from lamina.monitoring.drift.columns import STEADY, compare_column
from lamina.monitoring.drift.decide import decided
from lamina.monitoring.drift.distributions import Distribution, Numbers, Texts
from lamina.monitoring.drift.findings import Finding, Kind
from lamina.monitoring.drift.hours import Served, served_by, served_hours, windowed
from lamina.monitoring.drift.labels import compare_concept, compare_prior
from lamina.monitoring.drift.reference import REFERENCE_FILE, SCORES, Reference, load_reference
from lamina.monitoring.drift.report import Change, DriftReport, alerts_of
from lamina.monitoring.drift.sketch_files import SketchFileError
from lamina.monitoring.drift.streams import DETECTORS, changes, rank_errors, risen
from lamina.monitoring.hours import HOUR_MS
from lamina.monitoring.reports import Window
from lamina.monitoring.rows import COLUMNS, Rows, complete_until, read_rows, reader
from lamina.registry.protocol import ModelRegistry, NotInRegistry

WEEKLY = ("day_of_week", "weekend")
"""Transforms of a request whose values a day cannot show."""
WEEK_HOURS = 168
SCORE = "score"
"""What findings call the scores of the model."""


def weekly_features(features: FeatureSet) -> frozenset[str]:
    """The features that are of the day of the week."""
    return frozenset(f.name for f in features.request_features if f.transform in WEEKLY)


def label_window(system: System, end_ms: int, known_before_ms: int) -> Window:
    """The times of the answers whose labels are looked at: the newest ones are just complete."""
    complete = complete_until(system, end_ms, known_before_ms)
    return Window(start_ms=complete - system.watching.label_days * DAY_MS, end_ms=complete)


def served_in(lake: str, system: System, reference: Reference, end_ms: int, known_before_ms: int) -> list[Served]:
    """The hours before `end_ms`, oldest first: a week of them for what is of the day of the week, then those of all,
    the day before and the last.
    """
    kinds = {name: sketch.kind for name, sketch in reference.features.items()}
    weekly = sorted(weekly_features(system.features) & set(kinds))
    both_ms = end_ms - _day_before_ms(system.watching) - system.watching.drift_hours * HOUR_MS
    week_ms = min(end_ms - WEEK_HOURS * HOUR_MS, both_ms)
    of = (lake, system.name, kinds)
    week = served_hours(*of, week_ms, both_ms, known_before_ms, weekly) if weekly else []
    return week + served_hours(*of, both_ms, end_ms, known_before_ms)


def windows(
    hours: Sequence[Served], end_ms: int, watching: Watching
) -> tuple[Sequence[Served], Sequence[Served], Sequence[Served]]:
    """Of the hours before `end_ms` those of the week, of the last day, and of the day before; none of that one where it
    lacks hours that the last has, since a part of a day differs from any day by its hours alone.
    """
    week = [hour for hour in hours if hour.at_ms >= end_ms - WEEK_HOURS * HOUR_MS]
    start_ms, back_ms = end_ms - watching.drift_hours * HOUR_MS, _day_before_ms(watching)
    late = [hour for hour in hours if hour.at_ms >= start_ms]
    before = [hour for hour in hours if start_ms <= hour.at_ms + back_ms < end_ms]
    whole = {hour.at_ms for hour in late} <= {hour.at_ms + back_ms for hour in before}
    return week, late, before if whole else []


def _day_before_ms(watching: Watching) -> int:
    """How long before, in whole days, so that no hour is in both."""
    return -(-watching.drift_hours * HOUR_MS // DAY_MS) * DAY_MS


def compare_served(
    reference: Reference, hours: Sequence[Served], version: str, weekly: frozenset[str], end_ms: int, watching: Watching
) -> list[Finding]:
    """What features and scores of `version` show, not decided yet. Args: hours: see `served_in`."""
    week, late, earlier = windows(hours, end_ms, watching)
    found = []
    for name, before in reference.columns.items():
        now = windowed(week if name in weekly else late, name) or _nothing(before)
        # A day differs from a week by its weekday alone.
        sway = STEADY if name in weekly else reference.sway.get(name, STEADY)
        found += compare_column(name, before, now, watching, sway=sway, day_before=windowed(earlier, name))
    scores = reference.scores.distribution()
    served = windowed(late, SCORE, version) or _nothing(scores)
    sway, previous = reference.sway.get(SCORES, STEADY), windowed(earlier, SCORE, version)
    of_scores = compare_column(SCORE, scores, served, watching, Kind.PREDICTION, sway, previous)
    # A score that a model did not give is counted elsewhere: it is a fallback.
    found += [f for f in of_scores if f.statistic != "missing"]
    return found


def _nothing(like: Distribution) -> Distribution:
    return Numbers(np.empty(0), np.empty(0), 0, 0.0) if isinstance(like, Numbers) else Texts({}, 0, 0, 0.0)


def compare_labels(reference: Reference, rows: Rows, version: str, window: Window, watching: Watching) -> list[Finding]:
    """What labels show, not decided yet: of all answers how many are positive, of `version` how it ranks them."""
    served = rows.take(~rows.shadow & rows.known & (rows.weight > 0) & _inside(rows, window.start_ms, window.end_ms))
    own = served.take(
        (served.version == version) & _inside(served, window.end_ms - watching.days * DAY_MS, window.end_ms)
    )
    least = watching.min_rows
    return [
        compare_prior(reference, served.positive, served.weight, threshold=watching.prior, least_positives=least),
        compare_concept(
            reference, own.positive, own.score, own.unit, threshold=watching.concept, least_positives=least
        ),
    ]


def rises(reference: Reference, rows: Rows, version: str, window: Window) -> list[Change]:
    """Since when `version` ranks positive answers lower, in order of what became known of them, by each detector that
    found it.
    """
    own = rows.take(
        ~rows.shadow & rows.positive & (rows.version == version) & _inside(rows, window.start_ms, window.end_ms)
    )
    at = own.told_at.astype(np.int64)
    order = np.lexsort((own.answer.astype(str), at))
    errors = rank_errors(reference.scores.distribution(), own.score[order])
    found = []
    for name, make in DETECTORS.items():
        place = risen(errors, changes(make(), errors))
        if place is not None:
            found.append(
                Change(
                    detector=name,
                    at_ms=int(at[order][place]),
                    error_before=float(errors[:place].mean()),
                    error_after=float(errors[place:].mean()),
                )
            )
    return found


def since_ms(finding: Finding, window: Window, labels: Window, weekly: frozenset[str], watching: Watching) -> int:
    """The start of the rows that a finding is of, epoch ms. Args: window, labels: those of the report."""
    if finding.kind is Kind.PRIOR:
        return labels.start_ms
    if finding.kind is Kind.CONCEPT:
        return max(labels.start_ms, labels.end_ms - watching.days * DAY_MS)
    return window.end_ms - WEEK_HOURS * HOUR_MS if finding.subject in weekly else window.start_ms


def _inside(rows: Rows, start_ms: int, end_ms: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (rows.timestamp >= start_ms) & (rows.timestamp < end_ms)


@dataclass(frozen=True)
class Watched:
    """A report of an hour, and the columns that both sides have, for who wants to see them: reference and current."""

    report: DriftReport
    columns: tuple[Mapping[str, Distribution], Mapping[str, Distribution]] = ({}, {})


def serving_version(lake: str, system: str, start_ms: int, end_ms: int, known_before_ms: int) -> str | None:
    """The version that gave most of the answers, of several the newest; None where none gave any."""
    counts: dict[str, int] = {}
    for text, count in served_by(lake, system, start_ms, end_ms, known_before_ms).items():
        used = orjson.loads(text).get(MODEL)
        if used is not None:
            counts[used["version"]] = counts.get(used["version"], 0) + count
    return max(counts, key=lambda version: (counts[version], len(version), version), default=None)


def watch(system: System, registry: ModelRegistry, lake: str, *, end_ms: int, known_before_ms: int) -> Watched:
    """The report of the hour that ends at `end_ms`, against the reference of the version that gave most answers.

    Args: known_before_ms: answers served, and labels that became known, at that time or later are not looked at.
    Raises: RegistryError: the registry does not answer, which is no verdict on what drifted.
    """
    name, watching = system.name, system.watching
    window = Window(start_ms=end_ms - watching.drift_hours * HOUR_MS, end_ms=end_ms)
    labels = label_window(system, end_ms, known_before_ms)
    blank = DriftReport(system=name, known_before_ms=known_before_ms, window=window, labels=labels)
    version = serving_version(lake, name, window.start_ms, end_ms, known_before_ms)
    if version is None:
        return Watched(blank.model_copy(update={"no_verdict": "no model gave an answer in the window"}))
    try:
        reference = load_reference(registry.read(name, version, REFERENCE_FILE), REFERENCE_FILE)
    except (NotInRegistry, SketchFileError) as error:
        return Watched(blank.model_copy(update={"model_version": version, "no_verdict": f"no reference: {error}"}))
    hours = served_in(lake, system, reference, end_ms, known_before_ms)
    joined = reader(lake, name)(COLUMNS, labels.start_ms, labels.end_ms)
    rows = read_rows(system, joined, known_before_ms)
    weekly = weekly_features(system.features)
    found = [
        *compare_served(reference, hours, version, weekly, end_ms, watching),
        *compare_labels(reference, rows, version, labels, watching),
    ]
    final = decided(found, watching.significance)
    report = blank.model_copy(
        update={
            "model_version": version,
            "findings": tuple(final),
            "alerts": alerts_of(final, lambda finding: since_ms(finding, window, labels, weekly, watching)),
            "changes": tuple(rises(reference, rows, version, labels)),
        }
    )
    before = dict(reference.columns) | {SCORE: reference.scores.distribution()}
    week, late, _ = windows(hours, end_ms, watching)
    now = {
        column: windowed(week if column in weekly else late, column, version if column == SCORE else None)
        for column in before
    }
    return Watched(report, (before, {key: column for key, column in now.items() if column is not None}))

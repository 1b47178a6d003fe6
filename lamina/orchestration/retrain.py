"""Whether what is watched of a system asks for a retraining, for which day, and on which days: said once an hour.

An alert of any kind asks for one. No two are asked for within the cool-down, in whatever order hours are looked at,
which is a day unless the settings say otherwise: labels come by the day, so that a second training would learn nothing
new. A training that had
few days since the change is followed by one on twice as many, and by one on a whole window. What was asked for
is a report of its own, of kind `retraining`: whoever asks again for the same hour hears the same, and the run's name
and logical date are made from it, so that Airflow starts it once.

    lake/monitoring/fraud/retraining/hour=2018-08-21T07/report.json
    {"run_id": "drift__2018-08-21T07", "logical_date": "2018-08-20T07:30:00Z", "since": "2018-08-10", ...}
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from lamina.clock import day_of
from lamina.lake.layout import HOUR
from lamina.monitoring.reports import Alert, Summary, Window, hours, kinds, read_report, write_report
from lamina.orchestration.after_drift import USUAL, AfterDrift, window_after
from lamina.orchestration.jobs import label_days

KIND = "retraining"
LOG = logging.getLogger(__name__)


class Retraining(Summary):
    """A training that was asked for: the run `run_id` of `ml_model_training_<system>` for the logical date, given
    `conf`. `since` is the first day of what is taken for another world than before, that of the oldest rows which an
    alert is of; `reason` says why, for people.
    """

    kind: str = KIND
    since: date
    run_id: str
    logical_date: datetime
    conf: dict[str, int]
    reason: str


def choose_retraining(
    lake: str, system: str, hour: datetime, cooldown: timedelta, rule: AfterDrift = USUAL
) -> Retraining | None:
    """The retraining that the reports of `hour` ask for, which is kept; None where they do not, there are none, or
    another was asked for within the cool-down, before or after.

    Raises: BrokenMonitoringReport: when a report cannot be read.
    """
    if (already := read_report(lake, system, KIND, hour, Retraining)) is not None:
        return already
    found = [read_report(lake, system, kind, hour, Summary) for kind in kinds(lake, system) if kind != KIND]
    there = [report for report in found if report is not None]
    asked = hours(lake, system, KIND)
    if near := [each for each in asked if abs(hour - each) < cooldown]:
        at = f"{near[0]:{HOUR}}"
        LOG.info("%s: one was asked for by %s, less than %s from %s", system, at, cooldown, f"{hour:{HOUR}}")
        return None
    earlier = [each for each in asked if each < hour]
    last = read_report(lake, system, KIND, earlier[-1], Retraining) if earlier else None
    chosen = _retraining(system, hour, there, last, cooldown, rule) if there else None
    if chosen is None:
        LOG.info("%s: nothing in the %d reports of %s asks for a retraining", system, len(there), f"{hour:{HOUR}}")
        return None
    write_report(lake, hour, chosen)
    LOG.info("%s: %s for %s, as %s", system, chosen.run_id, chosen.logical_date.date(), chosen.reason)
    return chosen


def _retraining(
    system: str,
    hour: datetime,
    there: Sequence[Summary],
    last: Retraining | None,
    cooldown: timedelta,
    rule: AfterDrift,
) -> Retraining | None:
    known_before_ms = max(report.known_before_ms for report in there)
    day = day_of(known_before_ms) - timedelta(days=1)
    alarmed = [report for report in there if report.alerts]
    if alarmed:
        since = min(day_of(_since_ms(report, alert)) for report in alarmed for alert in report.alerts)
        if last is not None and hour - _hour(last) < 2 * cooldown:
            # The alert has stood since then: it is about the same change.
            since = min(since, last.since)
        alerts = [alert for report in alarmed for alert in report.alerts]
        reason = "; ".join(f"{alert.name} of {alert.subject}: {alert.message}" for alert in alerts)
        window = window_after(since, day, label_days(system), rule)
    elif last is not None:
        since, window = last.since, window_after(last.since, day, label_days(system), rule)
        had = last.conf.get("train_days", 0)
        if window is None or had >= rule.most_train_days or window.train_days < min(2 * had, rule.most_train_days):
            return None
        reason = f"{last.run_id} had {had} days since the change to train on, and {window.train_days} are complete now"
    else:
        return None
    return Retraining(
        system=system,
        known_before_ms=known_before_ms,
        window=Window(
            start_ms=min(report.window.start_ms for report in there),
            end_ms=max(report.window.end_ms for report in there),
        ),
        since=since,
        run_id=f"drift__{hour:{HOUR}}",
        # Within the day that it trains for, and never midnight, which is the daily run's.
        logical_date=datetime.combine(day, time(hour.hour, 30), tzinfo=UTC),
        conf={} if window is None else window.parameters,
        reason=reason,
    )


def _since_ms(report: Summary, alert: Alert) -> int:
    return report.window.start_ms if alert.since_ms is None else alert.since_ms


def _hour(of: Retraining) -> datetime:
    return datetime.strptime(of.run_id.removeprefix("drift__"), HOUR).replace(tzinfo=UTC)


def as_value(chosen: Retraining) -> dict[str, Any]:
    """What a task hands on: the run's name, logical date and parameters, as JSON."""
    return {
        "run_id": chosen.run_id,
        "logical_date": chosen.logical_date.isoformat(),
        "conf": chosen.conf,
        "reason": chosen.reason,
    }

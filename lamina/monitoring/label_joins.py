"""How the newest join of labels to answers came out, by system; and as metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date

from pydantic import BaseModel, ConfigDict, ValidationError

from lamina.clock import midnight_ms
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.files import newest_file
from lamina.lake.write import open_lake
from lamina.monitoring import metrics

log = logging.getLogger(__name__)

STATUSES = ("joined", "assumed", "waiting", "contradicted")
OUTCOMES = ("used", "superseded", "repeated", "unmatched")


class BrokenJoinReport(LaminaError):
    """The report of a join of labels that does not hold what it should."""


class LabelJoin(BaseModel):
    """Counts of one join: answers = joined + assumed + waiting, feedback = used + superseded + repeated + unmatched."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    system: str
    date: date
    known_before_ms: int
    answers: int
    joined: int
    assumed: int
    waiting: int
    contradicted: int
    feedback: int
    used: int
    superseded: int
    repeated: int
    unmatched: int


def latest_join(lake: str, system: str) -> LabelJoin | None:
    """The report of the newest date; None without one.

    Raises: BrokenJoinReport: names the file that cannot be read.
    """
    fs, folder = open_lake(layout.label_join(lake, system, date.min).rsplit("/", 1)[0])
    report = newest_file(fs, folder, layout.JOIN_REPORT)
    if report is None:
        return None
    try:
        return LabelJoin.model_validate_json(fs.cat_file(report))
    except ValidationError as error:
        raise BrokenJoinReport(f"{report} is no report of a join: run jobs.spark.join_labels again") from error


def export_joins(lake: str, systems: Iterable[str]) -> None:
    """Set the gauges to what the newest joins found; where none can be read they keep their values."""
    for system in systems:
        try:
            found = latest_join(lake, system)
        except (LaminaError, OSError) as error:
            log.warning("the newest join of labels of %s cannot be read: %s", system, error)
            continue
        if found is None:
            continue
        metrics.LABEL_JOIN_DAY.labels(system).set(midnight_ms(found.date) / 1000)
        for status in STATUSES:
            metrics.LABEL_JOIN_ANSWERS.labels(system, status).set(getattr(found, status))
        for outcome in OUTCOMES:
            metrics.LABEL_JOIN_FEEDBACK.labels(system, outcome).set(getattr(found, outcome))

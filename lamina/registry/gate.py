"""Whether an evaluated version may serve: its evaluation and the features' parity together.

One rule for the DAG's branch and for the deployment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.files import newest_file
from lamina.lake.write import open_lake
from lamina.registry.evaluation import Evaluation

REPORT = "report.json"


class BrokenReport(LaminaError):
    """A report that does not hold what it should."""


@dataclass(frozen=True)
class Enough:
    """What a parity report must be to speak for a version: not older than so many days before the day the version was
    trained for, and about at least so many decisions.

    A hundred decisions without a mismatch: with a confidence of 95 %, fewer than three in a hundred have one.
    """

    max_age_days: int = 7
    min_decisions: int = 100


ENOUGH = Enough()
"""Unless the settings say otherwise."""


@dataclass(frozen=True)
class Parity:
    """What a parity report says: how many decisions of `day` were compared, how many of their values differed."""

    day: date
    compared: int
    mismatches: int


def latest_parity(lake: str, system: str) -> Parity | None:
    """The newest parity report; None without one.

    Raises: BrokenReport: when the report does not say how many mismatches there were.
    """
    fs, folder = open_lake(layout.parity(lake, system, date.min).rsplit("/", 1)[0])
    report = newest_file(fs, folder, REPORT)
    if report is None:
        return None
    try:
        found = json.loads(fs.cat_file(report))
        day = date.fromisoformat(report.split("/")[-2])
        return Parity(day, int(found["compared"]), int(found["mismatches"]))
    except (KeyError, TypeError, ValueError):
        raise BrokenReport(
            f"{report} does not say how many values were compared and differed: run the parity job again"
        ) from None


def may_challenge(evaluation: Evaluation, parity: Parity | None, enough: Enough = ENOUGH) -> bool:
    """Whether the evaluated version, which is not promoted, may be tried on live traffic beside the champion."""
    return may_be_tried(evaluation, parity) and not decide(evaluation, parity, enough)[0]


def may_be_tried(evaluation: Evaluation, parity: Parity | None) -> bool:
    """Whether the evaluated version is fit for live traffic beside the champion.

    It was found better or not surely worse, and no parity report says that features are served otherwise than computed.
    """
    if evaluation.champion is None:
        return False
    return (evaluation.promote or evaluation.challenge) and (parity is None or not parity.mismatches)


def decide(evaluation: Evaluation, parity: Parity | None, enough: Enough = ENOUGH) -> tuple[bool, tuple[str, ...]]:
    """Whether the evaluated version goes live, and every reason for or against it.

    It must have been found better, and features must be served as they are computed, by a report that is recent and
    compared something. Without one only the first version goes live, before which nothing may have been served: not one
    whose champion could not be measured.
    """
    promoted, reasons = evaluation.promote, list(evaluation.reasons)
    system = evaluation.system
    if parity is not None and parity.mismatches:
        reasons.append(
            f"the latest parity report of {system}, of {parity.day}, has {parity.mismatches} mismatches: served "
            "features differ from recomputed ones"
        )
        return False, tuple(reasons)
    lacking = _lacking(evaluation, parity, enough)
    if lacking is None:
        assert parity is not None, "one that lacks nothing is there"
        reasons.append(f"the parity report of {parity.day} is clean over {parity.compared} decisions")
    elif promoted and evaluation.against is not None:
        promoted = False
        reasons.append(f"{lacking}: run features_daily_{system}, or jobs.spark.parity, for a day that was served")
    elif parity is not None:
        reasons.append(lacking)
    return promoted, tuple(reasons)


def _lacking(evaluation: Evaluation, parity: Parity | None, enough: Enough) -> str | None:
    """Why the newest report speaks for nothing, or None where it does."""
    if parity is None:
        return f"there is no parity report of {evaluation.system}"
    age = (evaluation.logical_date - parity.day).days
    if age > enough.max_age_days:
        return (
            f"the latest parity report of {evaluation.system}, of {parity.day}, is {age} days older than the version, "
            f"and {enough.max_age_days} are allowed"
        )
    if parity.compared < max(1, enough.min_decisions):
        found = f"compared {parity.compared} decisions" if parity.compared else "found no decision to compare"
        return f"the parity report of {parity.day} {found}, and {enough.min_decisions} are needed"
    return None

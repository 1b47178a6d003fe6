"""Where things lie in the lake. Every function returns an fsspec URL without a trailing slash and touches nothing."""

from __future__ import annotations

import re
from datetime import date, datetime

from lamina.errors import NameRefused

STAGING_PREFIX = ".staging-"
"""Folders that a writer has not finished; Spark and pyarrow skip names with a leading dot."""
ORIGIN = "origin=kafka"
"""In a day's partition: what was archived from Kafka, beside what was imported."""
OFFSETS = "_offsets.json"
"""In that folder: which messages it holds."""
JOIN_REPORT = "report.json"
"""In the folder of a date's join of labels: its counts."""
HOUR = "%Y-%m-%dT%H"
"""How an hour (UTC) is written in the names of folders."""
DAY = "day"
"""Names the partitions of what lies by the time of the events, not by that of their arrival."""


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def checked_name(kind: str, name: str) -> str:
    """`name`, when it can be part of a path and stands for nothing but itself.

    Raises: NameRefused: says what a name may hold.

    >>> checked_name("source", "bank-2018.q3")
    'bank-2018.q3'
    """
    if not _NAME.fullmatch(name):
        raise NameRefused(
            f"{kind} {name!r} is no name: give letters, digits, `_`, `-` and `.`, not with a dot or dash in front, 200 "
            "at most"
        )
    return name


def _join(lake: str, *parts: str) -> str:
    return "/".join((lake.rstrip("/"), *parts))


def topic(lake: str, name: str) -> str:
    """Folder of all partitions of one topic.

    >>> topic("s3://bucket/lake/", "transactions")
    's3://bucket/lake/events/transactions'
    """
    return _join(lake, "events", name)


def events(lake: str, name: str, day: date) -> str:
    """Partition of topic `name` with the events that were ingested on the UTC day `day`.

    >>> events("lake", "transactions", date(2018, 4, 1))
    'lake/events/transactions/ingested=2018-04-01'
    """
    return f"{topic(lake, name)}/{ingested(day)}"


def ingested(day: date) -> str:
    """Name of a day's partition folder.

    >>> ingested(date(2018, 4, 1))
    'ingested=2018-04-01'
    """
    return f"ingested={day.isoformat()}"


def tiles(lake: str, view: str, through: date) -> str:
    """Batch tiles of `view` built from all events before midnight UTC at the start of `through`.

    >>> tiles("lake", "user_spend", date(2018, 8, 8))
    'lake/tiles/user_spend/through=2018-08-08'
    """
    return _join(lake, "tiles", view, f"through={through.isoformat()}")


def training(lake: str, system: str, day: date) -> str:
    """Point-in-time training set of `system` made for the logical date `day`.

    >>> training("lake", "fraud", date(2018, 8, 8))
    'lake/training/fraud/2018-08-08'
    """
    return _join(lake, "training", system, day.isoformat())


def predictions(lake: str, model: str, day: date) -> str:
    """Scores that the registered model `model` gave the training rows of the logical date `day`.

    >>> predictions("lake", "fraud", date(2018, 8, 8))
    'lake/predictions/fraud/2018-08-08'
    """
    return _join(lake, "predictions", model, day.isoformat())


def joined_of(lake: str, system: str) -> str:
    """Folder of all days of the joined rows of `system`.

    >>> joined_of("lake", "fraud")
    'lake/joined/fraud'
    """
    return _join(lake, "joined", system)


def joined(lake: str, system: str, day: date) -> str:
    """Answers of `system` on the UTC day `day`, by their own time, with what became known of them.

    >>> joined("lake", "fraud", date(2018, 8, 8))
    'lake/joined/fraud/day=2018-08-08'
    """
    return f"{joined_of(lake, system)}/{day_folder(day)}"


def day_folder(day: date) -> str:
    """Name of the partition of a day, among those that lie by the time of the events.

    >>> day_folder(date(2018, 8, 8))
    'day=2018-08-08'
    """
    return f"{DAY}={day.isoformat()}"


def label_join(lake: str, system: str, day: date) -> str:
    """What joining labels to answers of `system` found on the logical date `day`: its report, and feedback that is
    about no answer.

    >>> label_join("lake", "fraud", date(2018, 8, 8))
    'lake/label_joins/fraud/2018-08-08'
    """
    return _join(lake, "label_joins", system, day.isoformat())


def parity(lake: str, system: str, day: date) -> str:
    """Comparison of served with recomputed features of `system` for `day`.

    >>> parity("lake", "fraud", date(2018, 8, 8))
    'lake/parity/fraud/2018-08-08'
    """
    return _join(lake, "parity", system, day.isoformat())


def sketches(lake: str, system: str, hour: datetime) -> str:
    """Sketches of what was served of `system` in the hour, UTC, that begins at `hour`.

    >>> sketches("lake", "fraud", datetime(2018, 8, 8, 7))
    'lake/sketches/fraud/hour=2018-08-08T07'
    """
    return _join(lake, "sketches", system, f"hour={hour:{HOUR}}")


def rejects(lake: str, name: str, source: str) -> str:
    """JSON-lines file with the rows of an import that broke the contract of topic `name`.

    >>> rejects("lake", "transactions", "handbook")
    'lake/rejects/transactions/handbook.jsonl'
    """
    return _join(lake, "rejects", name, f"{source}.jsonl")


def quarantine(lake: str, name: str, day: date) -> str:
    """A day's events of topic `name` that failed the quality gate, kept aside with the report.

    >>> quarantine("lake", "transactions", date(2018, 8, 8))
    'lake/quarantine/transactions/ingested=2018-08-08'
    """
    return _join(lake, "quarantine", name, ingested(day))


def quality(lake: str, name: str, day: date) -> str:
    """The quality gate's verdict on a day's events of topic `name`.

    >>> quality("lake", "transactions", date(2018, 8, 8))
    'lake/quality/transactions/2018-08-08'
    """
    return _join(lake, "quality", name, day.isoformat())


def rollout(lake: str, system: str) -> str:
    """Folder with a file for each generation of the features of `system`.

    >>> rollout("lake", "fraud")
    'lake/rollout/fraud'
    """
    return _join(lake, "rollout", system)


def backfill(lake: str, system: str, first: date, last: date) -> str:
    """File that says which days of a backfill of `system` are done; absent when none is under way.

    >>> backfill("lake", "fraud", date(2018, 8, 1), date(2018, 8, 8))
    'lake/backfill/fraud/2018-08-01_2018-08-08.json'
    """
    return _join(lake, "backfill", system, f"{first.isoformat()}_{last.isoformat()}.json")


def monitored(lake: str, system: str) -> str:
    """Folder of all that was reported of what is watched of `system`, a folder a kind.

    >>> monitored("lake", "fraud")
    'lake/monitoring/fraud'
    """
    return _join(lake, "monitoring", system)


def monitoring(lake: str, system: str, kind: str, hour: datetime) -> str:
    """Folder of the report of `kind`, such as performance, that was made of `system` for an hour (UTC).

    >>> monitoring("lake", "fraud", "performance", datetime(2018, 8, 21, 7))
    'lake/monitoring/fraud/performance/hour=2018-08-21T07'
    """
    return f"{monitored(lake, system)}/{kind}/hour={hour:{HOUR}}"

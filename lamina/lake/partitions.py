"""Which days the lake holds, of arrival or of another kind, and how far an event's own time may be from its day."""

from __future__ import annotations

from datetime import date, timedelta

from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.write import open_lake

INGESTED = "ingested"

CLOCK_SKEW = timedelta(days=7)
"""How far ahead of its arrival an event may be stamped and still be found by its time."""


def ingested_days(lake: str, topic: str, *, since: date | None = None, until: date | None = None) -> list[date]:
    """Days of which the lake holds events of `topic`, oldest first.

    Args: since, until: first and last day of arrival that is asked for.
    """
    return partition_days(layout.topic(lake, topic), INGESTED, since=since, until=until)


def partition_days(url: str, partition: str, *, since: date | None = None, until: date | None = None) -> list[date]:
    """Days of which the folder at `url` has a partition `<partition>=<day>`, oldest first.

    Args: since, until: first and last day that is asked for.
    """
    fs, path = open_lake(url)
    names = [name_of(entry) for entry in children(fs, path)]
    prefix = f"{partition}="
    days = sorted(date.fromisoformat(name.removeprefix(prefix)) for name in names if name.startswith(prefix))
    return [d for d in days if (since is None or d >= since) and (until is None or d <= until)]

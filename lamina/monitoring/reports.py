"""Reports of what is watched of a system: a folder an hour and kind, with `report.json` and pages for people.

    lake/monitoring/fraud/performance/hour=2018-08-21T07/report.json, report.html

What a kind finds out is a subclass of `Report`. A report is made of what was known before a time, `known_before_ms`:
made again with the same one it is the same, byte for byte, and takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.layout import HOUR, checked_name
from lamina.lake.write import open_lake, replacing
from lamina.monitoring.hours import HOUR_MS

REPORT = "report.json"
PAGE = "report.html"

Severity = Literal["warning", "critical"]
AnyReport = TypeVar("AnyReport", bound="Report")


class BrokenMonitoringReport(LaminaError):
    """A report that is there and cannot be read."""


class Part(BaseModel):
    """A part of a report. Numbers that are none are None: JSON has no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Window(Part):
    """The times of the rows that were looked at: from `start_ms` to before `end_ms`, epoch milliseconds."""

    start_ms: int
    end_ms: int


class Alert(Part):
    """Something that a person should be told. `subject`: what it is about, such as a version or a feature; `value`:
    what was found, and `threshold`: what it passed; `since_ms`: the start of the rows that it is of, epoch ms,
    None where it is of the whole window.
    """

    name: str
    severity: Severity
    subject: str
    value: float
    threshold: float
    message: str
    since_ms: int | None = None


class Report(Part):
    """What every kind of report has. `kind` names its folder."""

    kind: str
    system: str
    known_before_ms: int
    window: Window
    alerts: tuple[Alert, ...] = ()


def hour_of(at_ms: int) -> datetime:
    """The hour, UTC, that holds a time in epoch milliseconds.

    >>> hour_of(5_400_000)
    datetime.datetime(1970, 1, 1, 1, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromtimestamp(at_ms // HOUR_MS * HOUR_MS / 1000, tz=UTC)


def write_report(lake: str, hour: datetime, report: Report, files: Mapping[str, bytes] | None = None) -> str:
    """Write the report of an hour, with further `files` by name beside it, in the place of the one before; returns the
    URL of its folder. A reader sees all of the old one or all of the new one.
    """
    url = layout.monitoring(lake, report.system, checked_name("kind of report", report.kind), hour)
    with replacing(url) as staging:
        fs, folder = open_lake(staging)
        for name, content in (files or {}).items():
            fs.pipe_file(f"{folder}/{checked_name('file', name)}", content)
        fs.pipe_file(f"{folder}/{REPORT}", (report.model_dump_json(indent=1) + "\n").encode())
    return url


def read_report(lake: str, system: str, kind: str, hour: datetime, form: type[AnyReport]) -> AnyReport | None:
    """The report of an hour in the `form` of its kind; None where there is none.

    Raises: BrokenMonitoringReport: it is there and does not have that form.
    """
    fs, folder = open_lake(layout.monitoring(lake, system, kind, hour))
    try:
        return form.model_validate_json(fs.cat_file(f"{folder}/{REPORT}"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BrokenMonitoringReport(
            f"{folder}/{REPORT} cannot be read ({error.errors()[0]['msg']}): make it again with `lamina monitor {kind} "
            f"--system {system} --at {hour:{HOUR}}`"
        ) from None


def hours(lake: str, system: str, kind: str) -> list[datetime]:
    """The hours, UTC, of which there is a report, oldest first."""
    fs, folder = open_lake(f"{layout.monitored(lake, system)}/{kind}")
    names = (name_of(child) for child in children(fs, folder))
    given = (name.removeprefix("hour=") for name in names if name.startswith("hour="))
    return sorted(datetime.strptime(text, HOUR).replace(tzinfo=UTC) for text in given)


def history(
    lake: str, system: str, kind: str, form: type[AnyReport], *, since: datetime | None = None, most: int | None = None
) -> list[AnyReport]:
    """Reports from the hour `since` on, oldest first; with `most`, so many of the newest.

    Raises: BrokenMonitoringReport: as `read_report`.
    """
    wanted = [hour for hour in hours(lake, system, kind) if since is None or hour >= since]
    wanted = wanted if most is None else wanted[max(len(wanted) - most, 0) :]
    found = (read_report(lake, system, kind, hour, form) for hour in wanted)
    return [report for report in found if report is not None]


def newest(lake: str, system: str, kind: str, form: type[AnyReport]) -> AnyReport | None:
    """The report of the latest hour; None where there is none.

    Raises: BrokenMonitoringReport: as `read_report`.
    """
    found = history(lake, system, kind, form, most=1)
    return found[0] if found else None


class Summary(Report):
    """Any kind of report as far as all kinds are alike: what only one kind has is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def kinds(lake: str, system: str) -> list[str]:
    """The kinds of which there are reports of `system`, in alphabetical order."""
    fs, folder = open_lake(layout.monitored(lake, system))
    return [name_of(child) for child in children(fs, folder)]

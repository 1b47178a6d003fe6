"""How a day of a topic stands: whether its last archive failed, and what the quality gate said of what the lake holds.

Both are files beside the gate's report, so that whoever waits for a day is told the same as whoever looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from lamina.lake import layout
from lamina.lake.manifest import archived_run
from lamina.lake.write import open_lake

REPORT, RELEASED, UNARCHIVED = "report.json", "released.json", "unarchived.json"
PASSES = frozenset({"passed", "empty", "released"})
"""Verdicts that let a day through."""


@dataclass(frozen=True)
class Standing:
    """How `day` of `topic` stands.

    verdict: of the gate, on what the lake holds now; None where it has not looked. page: URL of the gate's report.
    problem: why the last archive of the day failed, "" where it did not. is_final: a repetition would fail alike.
    """

    topic: str
    day: date
    verdict: str | None
    page: str
    problem: str = ""
    is_final: bool = False

    @property
    def passed(self) -> bool:
        """Whether what the lake holds of the day may be used."""
        return self.verdict in PASSES

    @property
    def is_lasting(self) -> bool:
        """Whether what is wrong would be so again: rows that broke their expectations, or what is gone from Kafka."""
        return self.is_final if self.problem else self.verdict is not None and not self.passed

    @property
    def complaint(self) -> str:
        """What is wrong with the day and what to do about it; "" when nothing is.

        >>> Standing("transactions", date(2018, 8, 8), "passed", "lake/report.html").complaint
        ''
        """
        if self.problem:
            return f"{self.topic} was not archived for {self.day}: {self.problem}"
        if self.verdict is None:
            return (
                f"the quality gate has not looked at {self.topic} for {self.day}: run DAG archive_daily for that day, "
                f"or python -m jobs.spark.archive_day --topic {self.topic} --date {self.day}"
            )
        if not self.passed:
            return (
                f"{self.topic} broke its expectations on {self.day}: open {self.page}; after review: "
                f"python -m jobs.spark.quality --topic {self.topic} --date {self.day} --release"
            )
        return ""


def standing(lake: str, topic: str, day: date) -> Standing:
    """How `day` of `topic` stands now."""
    url = layout.quality(lake, topic, day)
    fs, folder = open_lake(url)
    verdict: str | None = None
    failed: dict[str, Any] = {}
    if (report := read_report(lake, topic, day)) is not None:
        released = report["status"] == "failed" and is_released(lake, topic, day, report["rows"], report["failed"])
        verdict = "released" if released else report["status"]
    if fs.exists(f"{folder}/{UNARCHIVED}"):
        failed = orjson.loads(fs.cat_file(f"{folder}/{UNARCHIVED}"))
    return Standing(topic, day, verdict, f"{url}/report.html", **failed)


def read_report(lake: str, topic: str, day: date) -> dict[str, Any] | None:
    """What the gate wrote of the day as it lies there; None where it has not looked, or at another archive of it.

    Two drivers may archive one day: the first may be a try that Airflow has taken for dead. What one says of its rows
    is nothing about those of the other.
    """
    fs, folder = open_lake(layout.quality(lake, topic, day))
    if not fs.exists(f"{folder}/{REPORT}"):
        return None
    found: dict[str, Any] = orjson.loads(fs.cat_file(f"{folder}/{REPORT}"))
    return found if found.get("run") == archived_run(lake, topic, day) else None


def is_released(lake: str, topic: str, day: date, rows: int, failed: Sequence[str]) -> bool:
    """Whether a person let the day pass: with so many rows, and at least these rules broken."""
    fs, folder = open_lake(layout.quality(lake, topic, day))
    if not fs.exists(f"{folder}/{RELEASED}"):
        return False
    allowed = orjson.loads(fs.cat_file(f"{folder}/{RELEASED}"))
    return bool(allowed["rows"] == rows and set(failed) <= set(allowed["failed"]))


def note_unarchived(lake: str, topic: str, day: date, problem: str, *, is_final: bool) -> None:
    """Write down why the day could not be archived; what the lake held of it, and the gate's verdict, stay."""
    fs, folder = open_lake(layout.quality(lake, topic, day))
    fs.makedirs(folder, exist_ok=True)
    fs.pipe_file(f"{folder}/{UNARCHIVED}", orjson.dumps({"problem": problem, "is_final": is_final}))


def forget(lake: str, topic: str, day: date) -> None:
    """Drop what was said of a day that is archived anew: of the rows that come, nothing is known yet."""
    fs, folder = open_lake(layout.quality(lake, topic, day))
    for name in (REPORT, UNARCHIVED):
        if fs.exists(f"{folder}/{name}"):
            fs.rm_file(f"{folder}/{name}")

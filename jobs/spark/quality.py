"""The gate between the archive and everything that is computed from it: one suite a topic, one verdict a day.

`python -m jobs.spark.quality --topic transactions --date 2018-08-08`. A day that breaks a critical rule is kept aside
in `quarantine/`, and the job ends with an error that names the rules; `--release` puts it back after a person has
looked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from html import escape
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from jobs.spark.command import LakeUrl, LogicalDate, overrides, processed, run
from jobs.spark.quarantine import Day
from jobs.spark.validation import MAX_PANDAS_ROWS, Broken, Validation, validate
from lamina.clock import Clock, system_clock
from lamina.contracts.expectations import DEAD_LETTERS, Suite, in_currency, not_suddenly_empty
from lamina.errors import ArchivedMeanwhile, QualityGateFailed
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.quality.standing import RELEASED, REPORT, is_released, read_report
from lamina.quality.suites import suite_of
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CURRENCY = "currency"
MOST_NAMED = 3
AROUND = 2
"""Number of the rules of `_around`, but for that on a topic with amounts."""


def check(
    spark: Callable[[], SparkSession],
    settings: Settings,
    topic: str,
    day: date,
    *,
    clock: Clock = system_clock,
    max_pandas_rows: int = MAX_PANDAS_ROWS,
    run: str | None = None,
) -> dict[str, Any]:
    """Hold the events of `day` to the topic's suite and write the report; returns its summary.

    Beside the rules about rows: of the messages that were archived not too many became dead letters, amounts are in the
    currency of the settings, and a day without events follows another without. A day that was released stays released
    as long as it holds the same number of rows and breaks no further rule.

    Args: run: which archive of the day is meant; whatever lies there where it is left out.
    Raises: QualityGateFailed: when a critical rule is broken; the events were moved to the quarantine.
    ArchivedMeanwhile: when another archive of the day lies there, or has come; there is no verdict then.
    """
    began = time.monotonic()
    suite, partition = suite_of(topic), Day(settings.lake_url, topic, day)
    run = run or partition.run
    _require_run(partition, topic, day, run)
    parameters = suite.parameters(day, clock())
    files = partition.files()
    done = validate(suite, partition.fs, files, parameters, spark, max_pandas_rows=max_pandas_rows)
    broken = (*done.broken, *_around(suite, partition, settings, day, done.rows))
    critical = [b.expectation.name for b in broken if b.expectation.severity == "critical"]
    summary = {
        "job": "quality",
        "topic": topic,
        "date": day.isoformat(),
        "run": run,
        "rows": done.rows,
        "engine": done.engine,
        "expectations": len(done.result.results) + AROUND + (CURRENCY in suite.columns),
        "failed": critical,
        "warnings": [b.expectation.name for b in broken if b.expectation.severity == "warning"],
    }
    released = bool(critical) and is_released(settings.lake_url, topic, day, done.rows, critical)
    summary["status"] = "released" if released else "failed" if critical else "passed" if done.rows else "empty"
    # A folder that is being replaced looks like a day without events.
    _require_run(partition, topic, day, run)
    report = _write_report(settings.lake_url, topic, day, done, broken, summary)
    if critical and not released:
        partition.set_aside()
        lines = [str(b) for b in broken if b.expectation.severity == "critical"]
        raise QualityGateFailed(
            f"{topic} for {day}: {len(critical)} of {summary['expectations']} expectations failed on {done.rows} rows. "
            f"The events are in {layout.quarantine(settings.lake_url, topic, day)}; open {report}; after review: "
            f"python -m jobs.spark.quality --topic {topic} --date {day} --release\n" + "\n".join(lines)
        )
    partition.restore()
    return {**summary, "report": report, "seconds": round(time.monotonic() - began, 1)}


def _require_run(partition: Day, topic: str, day: date, run: str | None) -> None:
    if partition.run != run:
        raise ArchivedMeanwhile(
            f"{topic} for {day} was archived once more while the gate looked at it: see that one archive of a day runs "
            f"at a time, then run python -m jobs.spark.archive_day --topic {topic} --date {day}"
        )


def _around(suite: Suite, partition: Day, settings: Settings, day: date, rows: int) -> list[Broken]:
    """The rules about the day as a whole that are broken: those that its rows alone cannot tell."""
    found = []
    read, dead = partition.messages()
    if not suite.allows_dead(dead, read):
        share = f"{dead} of {read} messages ({100 * dead / read:.3g} %; {100 * suite.most_dead:g} % may be)"
        found.append(Broken(DEAD_LETTERS, share))
    if CURRENCY in suite.columns and (others := sorted(partition.texts(CURRENCY) - {settings.currency})):
        found.append(Broken(in_currency(settings.currency), f"observed {', '.join(others[:MOST_NAMED])}"))
    before = day - timedelta(days=1)
    if not rows and Day(settings.lake_url, suite.topic, before).has_rows():
        found.append(Broken(not_suddenly_empty(suite.silence), f"no events, and some on {before}"))
    return found


def release(settings: Settings, topic: str, day: date, *, clock: Clock = system_clock) -> dict[str, Any]:
    """Put a day back that was kept aside, and let it pass from now on.

    Raises: QualityGateFailed: when nothing of that day is kept aside.
    """
    partition = Day(settings.lake_url, topic, day)
    if not _has_failed(settings.lake_url, topic, day):
        if partition.is_aside:
            raise QualityGateFailed(
                f"{topic} for {day} was archived anew, and the gate has not looked at it: run it without --release"
            )
        raise QualityGateFailed(f"{topic} for {day}: nothing is kept aside, so there is nothing to release")
    fs, folder = open_lake(layout.quality(settings.lake_url, topic, day))
    failed = orjson.loads(fs.cat_file(f"{folder}/{REPORT}"))
    allowed = {"rows": failed["rows"], "failed": failed["failed"], "released_at_ms": clock()}
    fs.pipe_file(f"{folder}/{RELEASED}", orjson.dumps(allowed))
    partition.restore()
    return {"job": "quality", "topic": topic, "date": day.isoformat(), "status": "released", **allowed}


def _has_failed(lake: str, topic: str, day: date) -> bool:
    """Whether the gate stopped what lies there of the day; where it has no events, nothing is kept aside."""
    report = read_report(lake, topic, day)
    return report is not None and report["status"] == "failed"


def _write_report(
    lake: str, topic: str, day: date, done: Validation, found: Sequence[Broken], summary: dict[str, Any]
) -> str:
    """Write `report.json` and `report.html`; returns where the page is."""
    url = layout.quality(lake, topic, day)
    fs, folder = open_lake(url)
    fs.makedirs(folder, exist_ok=True)
    broken = [{"name": b.expectation.name, "observed": b.observed, "why": b.expectation.why} for b in found]
    content = {**summary, "broken": broken, "results": done.result.to_json_dict()}
    fs.pipe_file(f"{folder}/{REPORT}", orjson.dumps(content, default=str, option=orjson.OPT_SERIALIZE_NUMPY))
    # Great Expectations' page knows only of the rules about rows.
    around = "".join(f"<p><b>{escape(str(b))}</b></p>" for b in found if b not in done.broken)
    fs.pipe_file(f"{folder}/report.html", done.html.replace("<body>", f"<body>{around}", 1).encode())
    return f"{url}/report.html"


def main(
    topic: Annotated[list[str], typer.Option(help="Topic to check, without prefix; may be given several times.")],
    day: LogicalDate,
    lake_url: LakeUrl = None,
    put_back: Annotated[
        bool, typer.Option("--release", help="Put a day back that is kept aside, after review.")
    ] = False,
    system: Annotated[
        str | None, typer.Option(help="For uniformity of the jobs; topics belong to all systems.")
    ] = None,
) -> None:
    """Check the events of a logical date; the last lines are summaries as JSON, or the rules that were broken."""
    from jobs.spark.session import make_session

    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    problems: list[QualityGateFailed] = []
    for name in topic:
        try:
            if put_back:
                summary = release(settings, name, logical)
            else:
                summary = check(lambda: make_session("quality"), settings, name, logical, clock=settings.clock)
            print(orjson.dumps(summary).decode(), flush=True)
        except QualityGateFailed as problem:
            problems.append(problem)
    if problems:
        raise QualityGateFailed("\n".join(map(str, problems)))


if __name__ == "__main__":
    run(main)

"""A day of many topics in one Spark session: each archived, then held to its suite, whatever became of the others.

`python -m jobs.spark.archive_day --topic transactions --topic user-events --date 2018-08-08`. How each topic came out
is written beside the gate's report, where whoever waits for the day reads it (`lamina.quality.standing`).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from jobs.spark.archive_events import archive, kept
from jobs.spark.command import LakeUrl, LogicalDate, overrides, processed, run
from jobs.spark.quality import check
from lamina.errors import ArchiveFailed, LaminaError, OffsetsLost, QualityGateFailed, TopicChanged
from lamina.quality.standing import note_unarchived
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FINAL = (OffsetsLost, TopicChanged)
"""What a person has to decide on: a repetition fails alike."""


def archive_day(
    spark: Callable[[], SparkSession],
    settings: Settings,
    topics: Sequence[str],
    day: date,
    *,
    allow_gap: bool = False,
    tell: Callable[[dict[str, Any]], None] = lambda counts: None,
) -> None:
    """Archive and check `day` of every topic; `tell` is given the counts of each step that went well.

    Raises: ArchiveFailed: when a topic was not archived or broke its expectations, once all others are done.
    """
    problems = []
    for topic in topics:
        try:
            archived = archive(spark, settings, topic, day, allow_gap=allow_gap)
            tell(archived)
        # Whatever it was, it is this topic's alone: systems that read others go on.
        except Exception as problem:
            told = _told(problem)
            note_unarchived(settings.lake_url, topic, day, told, is_final=isinstance(problem, FINAL))
            problems.append(f"{topic} was not archived: {told}")
            continue
        try:
            tell(check(spark, settings, topic, day, clock=settings.clock, run=archived["run"]))
        except QualityGateFailed as problem:
            problems.append(str(problem))
        except Exception as problem:
            problems.append(f"the quality gate of {topic} could not be run: {_told(problem)}")
    if problems:
        raise ArchiveFailed(
            f"{day}: {len(problems)} of {len(topics)} topics hold up the systems that read them; all others are done.\n"
            + "\n".join(problems)
        )


def _told(problem: Exception) -> str:
    """What happened, in a sentence where it is one of lamina's own; else the log says where."""
    if isinstance(problem, LaminaError):
        return str(problem)
    traceback.print_exception(problem)
    return f"{type(problem).__name__}: {str(problem).partition(chr(10))[0]}: see the log of the job"


def main(
    topic: Annotated[list[str], typer.Option(help="Topic to archive, without prefix; may be given several times.")],
    day: LogicalDate,
    lake_url: LakeUrl = None,
    allow_gap: Annotated[bool, typer.Option(help="Go on although Kafka has deleted messages of the range.")] = False,
) -> None:
    """Archive and check topics for a logical date; prints the counts of each as JSON, then what went wrong."""
    from jobs.spark.session import make_session

    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    for name in topic:
        kept(name)

    def tell(counts: dict[str, Any]) -> None:
        print(orjson.dumps(counts).decode(), flush=True)

    archive_day(lambda: make_session("archive_day"), settings, topic, logical, allow_gap=allow_gap, tell=tell)


if __name__ == "__main__":
    run(main)

"""The Spark jobs that DAGs run: one line each. A DAG names a job and a date; what it costs is said here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lamina.catalog import EVENT_TOPICS
from lamina.contracts.feedback import MODEL_FEEDBACK
from lamina.definitions import record
from lamina.settings import ROOT

DAY_S = 86_400

ARCHIVE_DAILY = "archive_daily"
"""The DAG that archives the day of every topic; others wait for what it lets through."""

CODE = ROOT / "dist" / "code.zip"
"""What executors import: `lamina` and `jobs`, packed by `make dist/code.zip`."""


@dataclass(frozen=True)
class SparkJob:
    """A file of `jobs/spark`, the driver's memory and whether it reads Kafka.

    >>> SparkJob("archive_day", doc="").file.relative_to(ROOT).as_posix()
    'jobs/spark/archive_day.py'
    """

    name: str
    doc: str
    driver_memory: str = "1g"
    reads_kafka: bool = False

    @property
    def file(self) -> Path:
        """The application that spark-submit is given."""
        return ROOT / "jobs" / "spark" / f"{self.name}.py"


ARCHIVE_DAY = SparkJob(
    "archive_day",
    "Copies what arrived on every topic since the last archived offsets into the lake, partition `ingested=<day>`, and "
    "holds it to the topic's expectation suite. A rerun replaces the partition it wrote; rows that were imported stay. "
    "A topic that fails leaves the others alone: it makes the task fail once they are done. How each came out is in "
    "`<lake>/quality/<topic>/<day>/`; what breaks its suite goes to `<lake>/quarantine/<topic>/ingested=<day>/`.",
    reads_kafka=True,
)
BATCH_FEATURES = SparkJob(
    "batch_features",
    "Rebuilds the tiles of every feature view from the archived events up to midnight at the end of the day, "
    "duplicates removed and late events included.",
    driver_memory="3g",
)
PUBLISH = SparkJob(
    "publish",
    "Packs the tiles per entity and writes them to Redis from the executors; a rerun goes on where it stopped.",
    driver_memory="2g",
)
PARITY = SparkJob(
    "parity",
    "Recomputes every feature that was served on the day from the archived events and counts match, stale, mismatch, "
    "missing and extra; see `<lake>/parity/<system>/<day>/report.html`.",
    driver_memory="2g",
)
JOIN_LABELS = SparkJob(
    "join_labels",
    "Joins what became known by the end of the day to the answers of every day that it may change: labels by the "
    "record and by feedback, `<lake>/joined/<system>/day=<day>/`. Counts, and feedback that is about no answer, are in "
    "`<lake>/label_joins/<system>/<day>/`.",
    driver_memory="2g",
)
BACKFILL = SparkJob(
    "backfill",
    "Rebuilds the tiles of a range of days, one day after the other, and publishes the newest. A retry goes on with "
    "the day that was not finished; newer values are never overwritten.",
    driver_memory="3g",
)
EXTRACT_DATA = SparkJob(
    "extract_data",
    "Writes the labelled rows of the training window to `<lake>/training/<system>/<day>/rows/`. A label counts only "
    "when it was known by the end of the day.",
    driver_memory="2g",
)
TRAINING_SET = SparkJob(
    "training_set",
    "Computes, for each labelled row, every feature as it was at that moment, never later: "
    "`<lake>/training/<system>/<day>/features/`.",
    driver_memory="3g",
)

JOBS = (ARCHIVE_DAY, BATCH_FEATURES, PUBLISH, PARITY, JOIN_LABELS, BACKFILL, EXTRACT_DATA, TRAINING_SET)


def every_topic() -> tuple[str, ...]:
    """Every topic that is archived: those of the events of all systems, each once, however many read it.

    >>> {"transactions", "predictions-fraud", "user-events"} <= set(every_topic())
    True
    """
    return tuple(sorted(EVENT_TOPICS))


def feature_topics(system: str) -> tuple[str, ...]:
    """The topics that the features and labels of `system` are made from.

    >>> feature_topics("fraud")
    ('fraud-labels', 'transactions')
    """
    return record(system).feature_topics


def archived_topics(system: str) -> tuple[str, ...]:
    """Every topic that the daily run of `system` reads: those of its features, and the log of what was served.

    >>> archived_topics("fraud")
    ('fraud-labels', 'predictions-fraud', 'transactions')
    """
    found = record(system)
    # What was served is read for the comparison; it is no source of features.
    served = {found.served.name} if found.served else set()
    return tuple(sorted(served.union(found.feature_topics)))


def feedback_topics(system: str) -> tuple[str, ...]:
    """The topics on which something may be said of the answers of `system`, besides those of its features.

    >>> feedback_topics("fraud")
    ('model-feedback',)
    """
    return (MODEL_FEEDBACK,) if record(system).feedback else ()


def logs_answers(system: str) -> bool:
    """Whether what `system` answers is logged, so that labels can be joined to it.

    >>> logs_answers("fraud")
    True
    """
    return record(system).served is not None


def has_model(system: str) -> bool:
    """Whether `system` has a model, which is trained and serves.

    >>> has_model("fraud")
    True
    """
    return record(system).has_model


def label_days(system: str) -> int:
    """Days after a request until the label of `system` is complete.

    >>> label_days("fraud")
    7
    """
    label = record(system).label
    return 0 if label is None else -(-label.delay.s // DAY_S)

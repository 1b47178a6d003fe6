"""The day of every topic as tasks: one that lets a topic's day through or stops it, and one that waits for some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from lamina.orchestration.assets import DayOfAssets, topic_asset
from lamina.orchestration.days import logical_day
from lamina.orchestration.jobs import ARCHIVE_DAILY
from lamina.orchestration.report_link import ReportLink
from lamina.orchestration.spark import note_day, refuse_open_day, standings

WAIT = "wait_for_events"
"""The parameter of a DAG that waits for topics: off, it goes on with what the lake holds."""


class TopicGate(BaseOperator):  # type: ignore[misc]
    """Lets the day of a topic through, as an event of the topic's asset, when it was archived and passed its suite."""

    template_fields = ("report_folder",)
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, topic: str, **kwargs: Any) -> None:
        self.topic = topic
        self.report_folder = f"quality/{topic}/{{{{ logical_day(dag_run) }}}}"
        super().__init__(outlets=[topic_asset(topic)], **kwargs)

    def execute(self, context: Any) -> None:
        """Read how the day stands. What is wrong is final: looking again would not change it."""
        refuse_open_day(context)
        [found] = standings([self.topic], logical_day(context["dag_run"]))
        if found.complaint:
            raise AirflowFailException(
                f"{found.complaint}. Systems that read {self.topic} wait; once it is put right, clear this task"
            )
        self.log.info("%s for %s: %s, see %s", found.topic, found.day, found.verdict, found.page)
        note_day(self.outlets, context)


class DayOfTopics(DayOfAssets):
    """Waits until the day of every topic was let through, and still may be used: a rerun of it may have stopped it."""

    def __init__(self, *, topics: Sequence[str], **kwargs: Any) -> None:
        self.topics = tuple(topics)
        assets = [topic_asset(topic) for topic in topics]
        super().__init__(assets=assets, maker=ARCHIVE_DAILY, option=WAIT, **kwargs)

    def missing(self, context: Any) -> list[str]:
        """A sentence with the next step for each topic whose day is not there, or must not be used."""
        wrong = [s for s in standings(self.topics, logical_day(context["dag_run"])) if s.complaint]
        # An archive that failed changed nothing: what was let through before is still there.
        return [*super().missing(context), *(s.complaint for s in wrong if not s.passed)]

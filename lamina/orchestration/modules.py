"""Python modules as Airflow tasks: training, evaluation and deployment run where the worker is."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator

from lamina.orchestration.report_link import ReportLink
from lamina.orchestration.spark import note_day
from lamina.settings import ROOT


class NotingBash(BashOperator):  # type: ignore[misc]
    """A command at the top of the repository, in the worker's environment. Outlets get the day it was run for."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(cwd=str(ROOT), append_env=True, **kwargs)

    def execute(self, context: Any) -> Any:
        """The last line that the command wrote."""
        said = super().execute(context)
        note_day(self.outlets, context)
        return said


class ReportingBash(NotingBash):
    """One that leaves a report: the link leads there.

    `report_folder`: of the report within the lake, templated.
    """

    template_fields = (*BashOperator.template_fields, "report_folder")
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, report_folder: str, **kwargs: Any) -> None:
        self.report_folder = report_folder
        super().__init__(**kwargs)


def module_task(
    task_id: str, module: str, arguments: dict[str, str] | None = None, report_folder: str = "", **kwargs: Any
) -> BashOperator:
    """A task that runs `python -m <module> --date <day>` at the top of the repository, in the worker's environment.

    `arguments` are templated; a non-zero exit fails the task, and its output is the task's log. `report_folder`: as of
    `ReportingBash`, where it leaves a report.
    """
    words = [word for name, value in (arguments or {}).items() for word in (f"--{name}", value)]
    command = f"{shlex.quote(sys.executable)} -m {module} --date {{{{ logical_day(dag_run) }}}} {' '.join(words)}"
    given = {"task_id": task_id, "bash_command": command.rstrip(), **kwargs}
    if report_folder:
        return ReportingBash(report_folder=report_folder, **given)
    return NotingBash(**given)

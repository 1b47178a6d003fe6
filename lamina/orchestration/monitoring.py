"""What is watched of a system, as Airflow tasks: each makes one report of the run's hour and shows it as a link."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from lamina.orchestration.hourly import KNOWN_AT
from lamina.orchestration.modules import ReportingBash

KINDS = {
    "performance": "How well the models did, by the answers whose labels are complete, beside each version's own "
    "evaluation.",
    "estimated": "How well the models probably do where no label has come yet, and how right that was before.",
    "drift": "What drifted of features, scores and labels, against the rows that the version was trained on.",
}
"""Every report of an hour, each a command of `lamina monitor`, and what it says."""


class MonitorOperator(ReportingBash):
    """Runs `lamina monitor <kind>` for the run's hour in the worker's environment. A run again replaces the report."""

    def __init__(self, *, system: str, kind: str, **kwargs: Any) -> None:
        known = f"{{{{ ' --known-at ' ~ params.{KNOWN_AT} if params.{KNOWN_AT} else '' }}}}"
        command = f"{shlex.quote(sys.executable)} -m lamina.cli monitor {kind} --system {system}"
        super().__init__(
            bash_command=f"{command} --at {{{{ logical_hour(dag_run) }}}}{known}",
            report_folder=f"monitoring/{system}/{kind}/hour={{{{ logical_hour(dag_run) }}}}",
            doc_md=KINDS[kind],
            **kwargs,
        )

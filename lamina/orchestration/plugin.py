"""An Airflow plugin: a run of a logical date in the future fails when it starts, whoever triggered it; and reports have
pages that tasks lead to.

Airflow starts no task of a run in the future, so none can refuse it: it would be "running" until that day, and hold up
every run behind it. The entry point `airflow.plugins` of this package brings it into every Airflow that has lamina.
"""

from __future__ import annotations

import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.state import DagRunState

from lamina.clock import system_clock
from lamina.orchestration.report_link import PREFIX

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)


class FutureRuns:
    """Listens to the scheduler. What it changes is committed with the start of the run."""

    @hookimpl  # type: ignore[untyped-decorator]
    def on_dag_run_running(self, dag_run: DagRun, msg: str) -> None:
        """Fail the run when its logical date has not begun. By the wall clock, as Airflow itself goes by it."""
        at = dag_run.logical_date
        if at is None or at.timestamp() * 1000 <= system_clock():
            return
        dag_run.set_state(DagRunState.FAILED)
        log.error(
            "run %s of %s has the logical date %s, which lies in the future: delete it and trigger a day that is over",
            dag_run.run_id,
            dag_run.dag_id,
            at,
        )


async def reports(scope: Any, receive: Any, send: Any) -> None:
    """The pages of reports, for Airflow's server; its other processes, which read this too, need nothing of them."""
    from lamina.orchestration.report_pages import app

    await app(scope, receive, send)


class LaminaPlugin(AirflowPlugin):  # type: ignore[misc]
    """What this package adds to Airflow."""

    name = "lamina"
    listeners: ClassVar[list[ModuleType | Any]] = [FutureRuns()]
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"name": "reports", "app": reports, "url_prefix": PREFIX}]

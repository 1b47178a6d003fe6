"""What DAGs that look at every hour have in common: schedule, and which hour a run is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param

from lamina.lake.layout import HOUR
from lamina.orchestration.daily import daily
from lamina.orchestration.days import HasLogicalDate, logical_day
from lamina.settings import UNSCHEDULED, load_settings

KNOWN_AT = "known_at"
PARAMS = {
    KNOWN_AT: Param(
        None,
        # It becomes a word of a command line.
        type=["null", "string"],
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$",
        description="Look at what was known before this time, UTC, such as 2018-08-21T08:00:00; empty: the hour's end.",
    )
}


def hourly() -> dict[str, Any]:
    """Arguments of a DAG that looks at the hour H in the run with the logical date H, once H is over; of a stack that
    replays old events none is scheduled, as of the daily ones.
    """
    common = daily()
    scheduled = load_settings().dag_schedule != UNSCHEDULED
    return {
        **common,
        "schedule": CronDataIntervalTimetable("@hourly", timezone="UTC") if scheduled else None,
        "user_defined_macros": {**common["user_defined_macros"], "logical_hour": logical_hour},
        "default_args": {**common["default_args"], "execution_timeout": timedelta(minutes=50)},
        "params": PARAMS,
    }


def logical_hour(run: HasLogicalDate) -> str:
    """The UTC hour that `run` looks at, as commands take it.

    Raises: NoLogicalDate: when the run was triggered without one, as asset events and the API may.
    """
    logical_day(run)
    at = run.logical_date
    assert isinstance(at, datetime), "a run without one has no day either"
    return f"{at:{HOUR}}"

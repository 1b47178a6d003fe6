"""The batch layer of a range of days: tiles of each day anew, the newest published."""

from airflow.sdk import DAG, Param

from lamina.definitions import system_names
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import BACKFILL
from lamina.orchestration.spark import SparkJobOperator

DOC = """
### Backfill of a range of days

Trigger with **from** and **to**, both days included. Tiles are rebuilt from the archived events, one day after the
other; a retry goes on with the day that was not finished. Only the newest day is published, and never over newer
values; where a later day was built before, it is rebuilt and published instead, so that corrections reach what is
served.
"""
PARAMS = {
    "system": Param(system_names()[0], type="string", enum=list(system_names())),
    "from": Param("2018-08-14", type="string", format="date", description="First day, UTC."),
    "to": Param("2018-08-14", type="string", format="date", description="Last day, itself included."),
}

with DAG(
    "features_backfill",
    doc_md=DOC,
    params=PARAMS,
    tags=["features", *system_names()],
    **{**daily(), "schedule": None},
):
    SparkJobOperator(
        task_id="backfill",
        job=BACKFILL,
        dated=False,
        arguments={
            "system": "{{ params['system'] }}",
            "from": "{{ params['from'] }}",
            "to": "{{ params['to'] }}",
        },
    )

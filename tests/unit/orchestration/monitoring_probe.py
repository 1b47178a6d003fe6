"""Renders a monitoring task and asks for reports as a browser would; prints what came of it as JSON."""

import json
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.api_fastapi.app import create_auth_manager, init_plugins
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lamina.orchestration import report_pages
from lamina.orchestration.hourly import PARAMS, hourly
from lamina.orchestration.monitoring import MonitorOperator

HOUR = "hour=2018-08-21T07"
REFUSED = (
    "events/x",
    "monitoring/../events/x",
    "monitoring/..%2Fevents%2Fx",
    "monitoring/%2e%2e/%2e%2e/secret",
    "..%2fsecret",
    "monitoring/.staging-1",
    "",
)
NO_TIMES = ("2018-08-21T09:30:00; rm -r /", "$(id)", "2018-08-21", "yesterday", "2018-08-21T09:30:00\nid")


def task(known_at: str | None) -> dict[str, str]:
    """The task of an hour, as it runs."""
    with DAG("monitoring_fraud", **hourly()) as dag:
        MonitorOperator(task_id="performance", system="fraud", kind="performance")
    made = dag.get_task("performance").prepare_for_execution()
    run = SimpleNamespace(run_id="r", logical_date=datetime(2018, 8, 21, 7, tzinfo=UTC))
    made.render_template_fields({"dag_run": run, "params": {"known_at": known_at}, **hourly()["user_defined_macros"]})
    (link,) = made.operator_extra_links
    return {"command": made.bash_command, "link": link.get_link(made, ti_key=None)}


def no_times() -> list[str]:
    """Those of `NO_TIMES` that the DAG's parameter refuses."""
    found = []
    for text in NO_TIMES:
        try:
            PARAMS["known_at"].resolve(text)
        except ParamValidationError:
            found.append(text)
    return found


def pages() -> dict[str, Any]:
    """What Airflow's server answers, with the plugin as its entry point brings it."""
    create_auth_manager()
    server = FastAPI()
    init_plugins(server)
    client = TestClient(server, raise_server_exceptions=False)
    prefix = "/lamina/reports"
    here = f"{prefix}/monitoring/fraud/performance/{HOUR}"
    stranger = client.get(here).status_code
    liar = client.get(here, headers={"Authorization": "Bearer made.up.token"}).status_code
    report_pages.app.dependency_overrides[report_pages.signed_in] = lambda: None
    page, plain = client.get(here), client.get(here.replace("performance", "drift"))
    return {
        "stranger": stranger,
        "liar": liar,
        "page": [page.status_code, page.text, page.headers["content-type"]],
        "policy": page.headers["content-security-policy"],
        "plain": [plain.status_code, plain.text, plain.headers["content-type"]],
        "missing": client.get(here.replace("07", "08")).status_code,
        "refused": {path: client.get(f"{prefix}/{path}").status_code for path in REFUSED},
    }


if __name__ == "__main__":
    found = {"usual": task(None), "known": task("2018-08-21T09:30:00"), "no_times": no_times(), **pages()}
    sys.stdout.write(json.dumps(found) + "\n")

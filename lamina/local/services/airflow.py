"""Airflow: API server with UI, scheduler, DAG processor and triggerer on SQLite; see `airflow.cfg`, too."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from lamina import proxies
from lamina.errors import StackError
from lamina.local.layout import main_bin
from lamina.local.service import NotReady, Program, Service, StackPlan, get_json, write
from lamina.local.services.mlflow import MLFLOW_ENV

# `local[*]` here; on a cluster the same id is another connection and no DAG changes.
SPARK_CONNECTION = {"conn_type": "spark", "host": "local[*]", "extra": {"spark-binary": "spark-submit"}}


def airflow_env(plan: StackPlan) -> dict[str, str]:
    """Variables under which any `airflow` command works on this stack: `airflow dags test ...` needs no more."""
    layout = plan.layout
    return {
        "AIRFLOW_HOME": str(layout.airflow_home),
        "AIRFLOW_CONFIG": str(layout.root / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(layout.root / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{plan.url('airflow')}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": plan.secrets["airflow_fernet"],
        "AIRFLOW__API__BASE_URL": plan.url("airflow"),
        "AIRFLOW__API__PORT": str(plan.ports["airflow"]),
        "AIRFLOW__API__SECRET_KEY": plan.secrets["airflow_api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": plan.secrets["airflow_jwt"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{layout.airflow_home}/airflow.db?timeout=60",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(SPARK_CONNECTION),
        # spark-submit must be the one of this environment, and so must the Python of its executors.
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # A driver on this machine is nobody else's business.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **MLFLOW_ENV,
    }


def airflow(plan: StackPlan) -> Service:
    """The four programs; ready when the API sees the other three beat."""
    env = airflow_env(plan)
    binary = str(main_bin("airflow"))
    home = plan.layout.airflow_home

    def prepare() -> None:
        (plan.layout.root / "dags").mkdir(exist_ok=True)
        home.mkdir(parents=True, exist_ok=True)
        variables = {**plan.env, **env}
        variables |= proxies.exceptions({**os.environ, **variables})
        lines = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in variables.items())
        write(plan.layout.run / "airflow.env", lines, mode=0o600)
        done = subprocess.run(
            [binary, "db", "migrate"],
            env={**os.environ, **plan.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            log = write(plan.layout.log("airflow-migrate"), done.stdout + done.stderr)
            raise StackError(f"airflow: its database could not be made; see {log}, or move {home} away to start anew")

    def ready() -> None:
        health = get_json(f"{plan.url('airflow')}/api/v2/monitor/health")
        for part in ("metadatabase", "scheduler", "dag_processor", "triggerer"):
            if health[part]["status"] != "healthy":
                raise NotReady(f"airflow at {plan.url('airflow')}: {part} is {health[part]['status']}")

    return Service(
        name="airflow",
        address=plan.url("airflow"),
        programs=(
            Program("airflow-api", (binary, "api-server", "--host", "127.0.0.1", "--workers", "1"), env),
            Program("airflow-scheduler", (binary, "scheduler", "--skip-serve-logs"), env, stop_wait_s=30),
            Program("airflow-dags", (binary, "dag-processor"), env),
            # No DAG of ours defers, but without one Airflow's home shows a part that is dead.
            Program("airflow-triggerer", (binary, "triggerer", "--skip-serve-logs", "--capacity", "10"), env),
        ),
        prepare=prepare,
        ready=ready,
        deadline_s=360,
    )

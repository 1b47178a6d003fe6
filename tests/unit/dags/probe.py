"""Reads the DAG folder as Airflow does, in a process of its own, and prints what it found as JSON.

Airflow reads its configuration when it is imported and changes logging and warnings of its process.
"""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset
from airflow.sdk.definitions._internal.contextmanager import DagContext

HEAVY = ("pandas", "numpy", "pyspark", "pyarrow", "mlflow", "xgboost", "lightgbm", "sklearn", "matplotlib", "httpx")


def main(folder: Path) -> dict[str, Any]:
    before, DagContext.autoregistered_dags = set(sys.modules), set()
    start = time.perf_counter()
    for file in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec and spec.loader
        module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
        DagContext.current_autoregister_module_name = file.stem
        spec.loader.exec_module(module)
    seconds = time.perf_counter() - start
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    return {
        "seconds": seconds,
        "heavy": sorted(new & set(HEAVY)),
        "dags": {dag.dag_id: describe(dag) for dag, _ in DagContext.autoregistered_dags},
    }


def describe(dag: DAG) -> dict[str, Any]:
    return {
        "schedule": getattr(dag.timetable, "expression", None),
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": dag.params.dump(),
        "doc": dag.doc_md,
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "trigger_rule": str(task.trigger_rule.value),
                "retries": task.retries,
                "exponential": bool(task.retry_exponential_backoff),
                "doc": task.doc_md,
                "operator": type(task).__name__,
                "arguments": getattr(task, "application_args", None) or getattr(task, "bash_command", None),
                "application": getattr(task, "application", None),
                "connection": getattr(task, "_conn_id", None),
                "links": sorted(link.name for link in task.operator_extra_links),
                "report": getattr(task, "report_folder", None) or None,
                "outlets": [asset.uri for asset in task.outlets if isinstance(asset, Asset)],
                "inlets": [asset.uri for asset in task.inlets if isinstance(asset, Asset)],
            }
            for task in dag.tasks
        },
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    scheduled = main(folder)
    os.environ["LAMINA_DAG_SCHEDULE"] = "none"
    json.dump({"scheduled": scheduled, "unscheduled": main(folder)}, sys.stdout)

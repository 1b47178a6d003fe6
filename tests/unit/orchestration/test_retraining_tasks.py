import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.orchestration.test_retrain import watched

# Airflow is imported in a process of its own: it changes logging and warnings of the one it is in.
TASKS = """
import json, sys
from datetime import UTC, datetime
from types import SimpleNamespace
from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from lamina.orchestration.retraining_tasks import retrain_when_asked

with DAG("monitoring_fraud", schedule=None) as dag:
    choose = retrain_when_asked("fraud")
trigger = dag.get_task("retrain")
found = {"downstream": sorted(choose.downstream_task_ids), "runs": []}
for logical_date in (None, datetime(2025, 3, 15, 6, tzinfo=UTC), *[datetime(2025, 3, 15, 7, tzinfo=UTC)] * 2):
    run = SimpleNamespace(run_id="r", logical_date=logical_date)
    try:
        said = choose.execute({"dag_run": run})
    except AirflowSkipException as skipped:
        found["runs"].append(str(skipped))
        continue
    context = {"ti": SimpleNamespace(xcom_pull=lambda task_ids, said=said: said)}
    trigger = dag.get_task("retrain").prepare_for_execution()
    trigger.render_template_fields(context)
    try:
        trigger.execute(context)
    except DagRunTriggerException as asked:
        found["runs"].append({
            "dag": asked.trigger_dag_id,
            "run": asked.dag_run_id,
            "logical_date": asked.logical_date.isoformat(),
            "conf": asked.conf,
            "once": asked.skip_when_already_exists,
        })
print(json.dumps(found))
"""


def test_an_alert_starts_the_training_of_its_day_once(tmp_path: Path) -> None:
    watched(str(tmp_path / "lake"))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {
        "AIRFLOW_HOME": str(tmp_path),
        "LAMINA_STACK_DIR": str(tmp_path / "stack"),
        "LAMINA_LAKE_URL": str(tmp_path / "lake"),
    }
    done = subprocess.run([sys.executable, "-c", TASKS], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["downstream"] == ["retrain"]
    no_date, no_report, first, again = found["runs"]
    assert "no logical date" in no_date
    assert no_report == "nothing asks for a retraining of fraud at 2025-03-15T06"
    assert first == again
    assert first == {
        "dag": "ml_model_training_fraud",
        "run": "drift__2025-03-15T07",
        "logical_date": "2025-03-14T07:30:00+00:00",
        "conf": {"train_days": 4, "test_days": 3, "gap_days": 0},
        "once": True,
    }

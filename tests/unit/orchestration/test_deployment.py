import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.orchestration.test_promotion import evaluated, parity

# Airflow is imported in a process of its own: it changes logging and warnings of the one it is in.
CHOOSE = """
import json, os, sys
from datetime import datetime, UTC
from types import SimpleNamespace
from lamina.orchestration.deployment import ChooseChampion, KeepChampion
context = {"dag_run": SimpleNamespace(run_id="r", logical_date=datetime(2018, 8, 21, tzinfo=UTC))}
branch = ChooseChampion(task_id="choose", system="fraud", deploy="deploy_model", keep="keep_champion")
keep = KeepChampion(task_id="keep", system="fraud")
found = []
for lake in sys.argv[1:]:
    os.environ["LAMINA_LAKE_URL"] = lake
    found.append([branch.choose_branch(context), keep.execute(context)])
print(json.dumps(found))
"""


def test_the_branch_goes_both_ways(tmp_path: Path) -> None:
    better, worse, unclean = lakes = [tmp_path / name for name in ("better", "worse", "unclean")]
    evaluated(better, promote=True, reason="0.65 against 0.64")
    evaluated(worse, promote=False, reason="0.63 against 0.64")
    evaluated(unclean, promote=True, reason="0.65 against 0.64")
    parity(unclean, 3)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"AIRFLOW_HOME": str(tmp_path), "LAMINA_STACK_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CHOOSE, *map(str, lakes)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        ["deploy_model", "0.65 against 0.64"],
        ["keep_champion", "0.63 against 0.64"],
        [
            "keep_champion",
            "0.65 against 0.64; the latest parity report of fraud, of 2018-08-21, has 3 mismatches: served features "
            "differ from recomputed ones",
        ],
    ]


OPEN_DAY = """
import json, os
from datetime import datetime, UTC
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowFailException
from lamina.orchestration.assets import DayOfAssets, features_asset
from lamina.orchestration.jobs import BATCH_FEATURES
from lamina.orchestration.spark import SparkJobOperator
run = SimpleNamespace(run_id="r", logical_date=datetime(2018, 8, 21, tzinfo=UTC))
context = {"dag_run": run, "params": {"wait_for_features": False}}
wait = DayOfAssets(task_id="wait", assets=[features_asset("fraud")], maker="m", option="wait_for_features")
job = SparkJobOperator(task_id="job", job=BATCH_FEATURES, arguments={})
found = []
for at in ("2018-08-21T23:59:59Z", "2018-08-22T00:00:00Z"):
    os.environ["LAMINA_CLOCK_AT"] = at
    for do in (lambda: wait.poke(context), lambda: job.execute(context)):
        try:
            found.append(do())
        except AirflowFailException as problem:
            found.append(str(problem))
print(json.dumps(found))
"""


def test_the_first_task_fails_for_good_where_the_day_is_not_over(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"AIRFLOW_HOME": str(tmp_path), "LAMINA_STACK_DIR": str(tmp_path)}
    # Without the archive of the code the job ends before it submits anything.
    script = OPEN_DAY.replace("found = []", "import lamina.orchestration.spark as s; s.CODE = s.CODE / 'x'; found = []")
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait, job, wait_later, job_later = json.loads(done.stdout.splitlines()[-1])
    assert "2018-08-21 is not over" in wait
    assert wait == job
    assert wait_later is True
    assert "make dist/code.zip" in job_later

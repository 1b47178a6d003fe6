import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lamina.registry.evaluation import Contender, Evaluation, write_evaluation

DAY = date(2018, 8, 21)

# Airflow is imported in a process of its own: it changes logging and warnings of the one it is in.
CHOOSE = """
import json, sys
from datetime import datetime, UTC
from types import SimpleNamespace
from lamina.orchestration.deployment import ChooseChampion, KeepChampion
context = {"dag_run": SimpleNamespace(run_id="r", logical_date=datetime(2018, 8, 21, tzinfo=UTC))}
branch = ChooseChampion(task_id="choose", system="fraud", deploy="deploy_model", keep="keep_champion")
keep = KeepChampion(task_id="keep", system="fraud")
print(json.dumps([branch.choose_branch(context), keep.execute(context)]))
"""


def _choose(lake: Path) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"AIRFLOW_HOME": str(lake), "LAMINA_LAKE_URL": str(lake), "LAMINA_STACK_DIR": str(lake)}
    return subprocess.run([sys.executable, "-c", CHOOSE], env=env, capture_output=True, text=True, check=False)


def _evaluated(lake: Path, *, promote: bool, reason: str) -> None:
    measured = Contender(version="2", logical_date=DAY, metrics={"auc": 0.88, "average_precision": 0.65})
    evaluation = Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=100,
        frauds=3,
        candidate=measured,
        champion=None,
        promote=promote,
        reasons=(reason,),
    )
    write_evaluation(str(lake), evaluation)


def _parity(lake: Path, mismatches: int) -> None:
    report = lake / "parity" / "fraud" / "2018-08-21" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"mismatches": mismatches}))


@pytest.mark.parametrize(
    ("promote", "mismatches", "chosen"),
    [(True, 0, "deploy_model"), (False, 0, "keep_champion"), (True, 3, "keep_champion")],
)
def test_only_a_better_model_with_clean_features_goes_live(
    tmp_path: Path, promote: bool, mismatches: int, chosen: str
) -> None:
    _evaluated(tmp_path, promote=promote, reason="0.65 against 0.64")
    _parity(tmp_path, mismatches)
    found: list[Any] = json.loads(_choose(tmp_path).stdout.splitlines()[-1])
    expected = "0.65 against 0.64" + ("; the latest parity report of fraud has 3 mismatches" if mismatches else "")
    assert found == [chosen, expected]


def test_nothing_goes_live_without_an_evaluation(tmp_path: Path) -> None:
    done = _choose(tmp_path)
    assert done.returncode != 0
    assert "python -m models.fraud.evaluate --date 2018-08-21" in done.stderr

"""`python -m models.<system>.blend --date D` and `... .learn --date D`: further versions of a day, which may challenge.

Each is measured and promoted by the same steps as a training's (`models.<system>.evaluate`, `lamina.registry.deploy`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from lamina.clock import require_over
from lamina.evaluation.problem import Problem
from lamina.evaluation.read import read_table
from lamina.evaluation.table import TooFewRows
from lamina.orchestration.jobs import label_days
from lamina.settings import load_settings
from lamina.training.blend import BlendPlan, publish_blend
from lamina.training.learn import last_kept, learn_days, publish_online, write_kept

DATE = typer.Option(formats=["%Y-%m-%d"], help="The logical date: labels known by its end count.")
LAKE = typer.Option(help="Root of the lake; empty: from the settings.")
TEST = typer.Option(min=1, help="Last days with complete labels, to test on.")
REGISTER = typer.Option(help="Register the model when its AUC is at least this.")


def blend_command(problem: Problem) -> Callable[..., None]:
    """The command that blends past versions of `problem`, for typer to run."""
    delay, least = label_days(problem.system), problem.record.min_auc

    def main(
        date: Annotated[datetime, DATE],
        lake_url: Annotated[str, LAKE] = "",
        weigh_days: Annotated[int, typer.Option(min=1, help="Days to weigh versions on.")] = BlendPlan.weigh_days,
        test_days: Annotated[int, TEST] = BlendPlan.test_days,
        most: Annotated[int, typer.Option(min=2, help="Newest versions to look at.")] = BlendPlan.most,
        min_auc: Annotated[float, REGISTER] = least,
    ) -> None:
        """Blend past versions for a day; prints one JSON line with run, version, metrics and weights."""
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        day = require_over(date.date(), settings.clock)
        table = read_table(settings.lake_url, problem, day, problem.inputs)
        plan = BlendPlan(day, delay, weigh_days, test_days, most)
        registry = MlflowRegistry(settings.mlflow_uri)
        _tell(lambda: publish_blend(problem, registry, table, plan, min_auc))

    return main


def learn_command(problem: Problem) -> Callable[..., None]:
    """The command that lets the online regression of `problem` go on to a day, for typer to run."""
    delay, least = label_days(problem.system), problem.record.min_auc

    def main(
        date: Annotated[datetime, DATE],
        lake_url: Annotated[str, LAKE] = "",
        test_days: Annotated[int, TEST] = 3,
        min_auc: Annotated[float, REGISTER] = least,
    ) -> None:
        """Learn the days that became complete since the last time; prints one JSON line with run, version, metrics."""
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        lake, day = settings.lake_url, require_over(date.date(), settings.clock)
        table = read_table(lake, problem, day, problem.inputs)
        before = last_kept(lake, problem.system, day)
        kept = learn_days(problem, table, day, before, delay_days=delay, test_days=test_days)
        write_kept(lake, problem.system, day, kept)
        registry = MlflowRegistry(settings.mlflow_uri)
        _tell(lambda: publish_online(problem, registry, table, day, kept, min_auc, delay_days=delay))

    return main


def _tell(make: Callable[[], dict[str, object]]) -> None:
    """Print what was made as a JSON line. That there was too little to make it of is an answer, too: every day of a
    young system has it.
    """
    try:
        said = make()
    except TooFewRows as few:
        said = {"run_id": None, "version": None, "metrics": {}, "reason": str(few)}
    sys.stdout.write(json.dumps(said) + "\n")

"""`python -m models.<system>.train --date D`: what every system's command does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from lamina.clock import require_over
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, rows_to_learn
from lamina.orchestration.jobs import label_days
from lamina.settings import Settings, load_settings
from lamina.training.chosen import Chosen, last_chosen, write_chosen
from lamina.training.publish import publish
from lamina.training.recipe import Recipe
from lamina.training.train import SplitKind, TrainingPlan, learnt_inputs


class ParametersFrom(StrEnum):
    """Who chose the parameters of a training that does not search."""

    LAST_SEARCH = "last-search"
    DEFAULTS = "defaults"


def train_command(recipe: Recipe) -> Callable[..., None]:
    """The command that makes a day's model by `recipe`, for typer to run.

    Labels take as long, and a model has to be as good, as the system's record says, unless it is told otherwise.
    """
    label_delay, least = label_days(recipe.problem.system), recipe.problem.record.min_auc

    def main(
        date: Annotated[
            datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date: labels known by its end count.")
        ],
        lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
        train_days: Annotated[int, typer.Option(min=1, help="Days to train on.")] = TrainingPlan.train_days,
        delay_days: Annotated[int, typer.Option(min=0, help="Days until a row's label is complete.")] = label_delay,
        test_days: Annotated[int, typer.Option(min=1, help="Days to test on.")] = TrainingPlan.test_days,
        gap_days: Annotated[
            int | None,
            typer.Option(min=0, help="Days between training and test; not given: as many as labels take."),
        ] = None,
        split: Annotated[
            SplitKind, typer.Option(help="By time, or drawn at random with equal shares of the label.")
        ] = TrainingPlan.split,
        min_auc: Annotated[float, typer.Option(help="Register the model when its AUC is at least this.")] = least,
        negatives_per_positive: Annotated[
            int, typer.Option(min=0, help="Negative rows to keep for each positive one in training; 0 keeps all.")
        ] = TrainingPlan.negatives_per_positive,
        seed: Annotated[int, typer.Option(help="Seed of the sampling and of both learners.")] = TrainingPlan.seed,
        threads: Annotated[
            int, typer.Option(min=1, help="Threads; one will do for under-sampled weeks.")
        ] = TrainingPlan.threads,
        calibrate: Annotated[
            bool, typer.Option(help="Fit, on units held out, the line that makes scores mean what they say.")
        ] = TrainingPlan.calibrate,
        search: Annotated[
            int, typer.Option(min=0, help="Trials to search parameters with, those of an interrupted search counted.")
        ] = 0,
        valid_days: Annotated[int, typer.Option(min=1, help="Last training days, which the search chooses on.")] = 3,
        parameters: Annotated[
            ParametersFrom,
            typer.Option(help="Without a search: those of the last one, or the recorded defaults."),
        ] = ParametersFrom.LAST_SEARCH,
    ) -> None:
        """Train the model of a day; prints one JSON line with run, version and metrics."""
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        lake = settings.lake_url
        day = require_over(date.date(), settings.clock)
        plan = TrainingPlan(
            day,
            train_days,
            delay_days,
            test_days,
            split,
            negatives_per_positive,
            seed,
            threads,
            calibrate,
            gap_days=gap_days,
        )
        problem = recipe.problem
        table = read_table(lake, problem, plan.day, problem.inputs)
        chosen = None
        if search:
            chosen = _search(recipe, settings, table, plan, search, valid_days)
            write_chosen(lake, chosen)
        elif parameters is ParametersFrom.LAST_SEARCH:
            chosen = last_chosen(lake, problem.system, plan.day)
        policies = recipe.policies(settings, lake, plan.day)
        registry = MlflowRegistry(settings.mlflow_uri)
        said = publish(recipe, registry, table, plan, min_auc, chosen=chosen, policies=policies)
        sys.stdout.write(json.dumps(said) + "\n")

    return main


def _search(
    recipe: Recipe, settings: Settings, table: Table, plan: TrainingPlan, trials: int, valid_days: int
) -> Chosen:
    """Search, with a bar where somebody looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lamina.registry.searches import MlflowSearchLog
    from lamina.training.search import SearchPlan, parts, search

    wanted = SearchPlan(trials, valid_days, plan.negatives_per_positive, plan.seed, plan.threads)
    split = plan.days
    learn = table.take(rows_to_learn(table, split, plan.seed))
    found = parts(recipe, table, split, learnt_inputs(recipe.problem, learn), wanted)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("searching", total=trials)

        def told(done: int, of: int, best: float) -> None:
            bar.update(task, completed=done, total=of, description=f"best average precision {best:.4f}")

        log = MlflowSearchLog(settings.mlflow_uri)
        chosen = search(recipe, found, wanted, log, settings.stack_dir / "searches", plan.day, told)
    console.print(f"parameters by {chosen.source}", soft_wrap=True)
    return chosen

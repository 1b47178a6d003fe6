"""`python -m models.<system>.evaluate --date D`: what every system's command does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from lamina.clock import require_over
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.problem import Problem
from lamina.evaluation.read import read_table
from lamina.evaluation.verdict import Rule
from lamina.registry.evaluation import write_evaluation
from lamina.registry.protocol import Kind
from lamina.settings import load_settings


def evaluate_command(problem: Problem) -> Callable[..., None]:
    """The command that compares a day's model of `problem` with the champion, for typer to run."""
    least = problem.record.min_auc

    def main(
        date: Annotated[
            datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date the model was trained for.")
        ],
        lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
        min_auc: Annotated[float, typer.Option(help="Never promote a model whose AUC is below this.")] = least,
        better: Annotated[
            Rule, typer.Option(help="By the measured difference, or only when all of its interval is a gain.")
        ] = Rule.POINT,
        kind: Annotated[Kind | None, typer.Option(help="How it was made; empty: the newest of the day.")] = None,
    ) -> None:
        """Compare the day's model with the champion; writes evaluation.json into the lake and prints it."""
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        lake = settings.lake_url
        day = require_over(date.date(), settings.clock)
        table = read_table(lake, problem, day, problem.inputs)
        found = evaluate(problem, MlflowRegistry(settings.mlflow_uri), table, day, min_auc, better, kind)
        write_evaluation(lake, found, kind or Kind.TRAINING)
        sys.stdout.write(found.model_dump_json() + "\n")

    return main

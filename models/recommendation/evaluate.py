"""`python -m models.recommendation.evaluate --date D`: the model of a day against the champion, on the same rows."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.evaluation.command import evaluate_command
from models.recommendation.problem import PROBLEM

main = evaluate_command(PROBLEM)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

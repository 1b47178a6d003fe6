"""`python -m models.recommendation.learn --date D`: the regression that learns row by row goes on; a version."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.training.challengers import learn_command
from models.recommendation.problem import PROBLEM

main = learn_command(PROBLEM)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

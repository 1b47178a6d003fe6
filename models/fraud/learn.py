"""`python -m models.fraud.learn --date D`: the regression that learns row by row goes on to a day, as a version."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.training.challengers import learn_command
from models.fraud.problem import PROBLEM

main = learn_command(PROBLEM)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

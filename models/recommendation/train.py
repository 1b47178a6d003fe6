"""`python -m models.recommendation.train --date D`: a model from the training set of a day, kept if it is good."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.training.command import train_command
from models.recommendation.recipe import RECIPE

main = train_command(RECIPE)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

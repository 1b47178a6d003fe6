"""`python -m models.activity.train --date D`: a model from the training set of a day, logged and, if good, kept."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.training.command import train_command
from models.activity.recipe import RECIPE

main = train_command(RECIPE)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

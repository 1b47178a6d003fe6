"""`python -m models.recommendation.blend --date D`: past versions as one, weighed by their recent loss; a version."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.training.challengers import blend_command
from models.recommendation.problem import PROBLEM

main = blend_command(PROBLEM)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

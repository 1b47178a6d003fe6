"""`python -m models.recommendation.performance --at HOUR`: how well the models did, by complete labels."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.monitoring.command import performance_command
from models.recommendation.problem import PROBLEM

main = performance_command(PROBLEM)

if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

"""The command `lamina`: each group of commands is a module of `lamina.commands`, registered here."""

from __future__ import annotations

import typer

from lamina import entry
from lamina.commands import capacity, dead_letters, features, ingest, migrate, models, monitor, reviews, stack

app = typer.Typer(name="lamina", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
stack.register(app)
ingest.register(app)
models.register(app)
features.register(app)
monitor.register(app)
dead_letters.register(app)
migrate.register(app)
reviews.register(app)
capacity.register(app)


def main() -> None:
    """Run the command line; lamina's own errors become one message and exit code 1."""
    entry.run(app)


if __name__ == "__main__":
    main()

"""`lamina reviews check` and `list`: the audit log as it was written, and what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamina.commands.output import make_console, make_table
from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.reviews.database import Database

reviews = typer.Typer(name="reviews", no_args_is_help=True, help="Answers that wait for a person.")


def register(parent: typer.Typer) -> None:
    """Add `reviews` to `parent`."""
    parent.add_typer(reviews)


def _database() -> Database:
    from lamina.reviews.database import Database, database_url

    settings = load_settings()
    url = None if settings.reviews_url is None else settings.reviews_url.get_secret_value()
    return Database(database_url(url, settings.stack_dir))


@reviews.command()
def check(
    known: Annotated[
        str | None, typer.Option(help="The hash that an earlier check gave: the log must still hold it.")
    ] = None,
) -> None:
    """See that no entry of the audit log was changed or removed; give its newest hash, to be kept elsewhere."""
    from lamina.reviews.audit import check as checked

    entries, newest = checked(_database(), known)
    make_console().print(f"{entries} entries as they were written; the newest has the hash {newest}", soft_wrap=True)


@reviews.command("list")
def show(limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 20) -> None:
    """Show what waits for a person, by expected loss."""
    from lamina.reviews.reading import waiting

    rows = make_table("case", "system", "request", "score", "expected loss", "state", "with")
    for case in waiting(_database(), most=limit):
        score = "-" if case.score is None else f"{case.score:.3f}"
        loss = f"{case.expected_loss:,.2f}"
        rows.add_row(str(case.case_id), case.system, case.request_id, score, loss, case.state, case.holder or "-")
    make_console().print(rows)

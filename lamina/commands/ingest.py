"""`lamina import`: files of one's own into the lake."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.ingest.transactions import ImportReport

app = typer.Typer(name="import", help="Bring files of your own into the lake.", no_args_is_help=True)

REASONS_SHOWN = 12


def register(parent: typer.Typer) -> None:
    """Add `import` to `parent`."""
    parent.add_typer(app, name="import")


@app.callback()
def _group() -> None:
    """Bring files of your own into the lake."""


@app.command()
def transactions(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or parquet file.")],
    mapping: Annotated[str, typer.Option(help="Path of a mapping, or a shipped one, such as handbook.")],
    lake: Annotated[str | None, typer.Option(help="Lake to write to; the installation's own by default.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day to import.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First UTC day not to import; no label known then either."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Name of this data in the lake; a rerun with the same name replaces it.")
    ] = None,
    salt: Annotated[
        str | None, typer.Option(envvar="LAMINA_IMPORT_SALT", help="Secret key for columns that are hashed.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,
) -> None:
    """Import card transactions and, where the mapping names them, their fraud labels."""
    from lamina.ingest.mapping import load_mapping
    from lamina.ingest.reader import rows_in
    from lamina.ingest.transactions import import_transactions

    console = Console()
    loaded = load_mapping(mapping)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(file.name, total=rows_in(file) if file.is_file() else None)
        report = import_transactions(
            file,
            loaded,
            lake or load_settings().lake_url,
            source=source,
            since=since.date() if since else None,
            until=until.date() if until else None,
            salt=salt,
            dry_run=dry_run,
            progress=lambda rows: bar.update(task, completed=rows),
        )
    console.print(_table(report, dry_run))
    if report.rejects_path:
        console.print(f"rejected rows: {report.rejects_path}")


def _table(report: ImportReport, dry_run: bool) -> Table:
    table = Table(title="dry run: nothing was written" if dry_run else None, header_style="bold")
    table.add_column("rows")
    table.add_column("count", justify="right")
    for name, count in (
        ("read", report.read),
        ("accepted", report.accepted),
        ("rejected", report.rejected),
        ("  of them repeated", report.duplicates),
        ("outside the dates", report.outside),
        ("fraud labels", report.labels),
        ("fraud labels outside the dates", report.labels_outside),
        ("days", report.days),
    ):
        table.add_row(name, f"{count:,}")
    for reason, count in report.reasons.most_common(REASONS_SHOWN):
        table.add_row(f"  rejected, {reason}", f"{count:,}", style="yellow")
    if len(report.reasons) > REASONS_SHOWN:
        rest = sum(count for _, count in report.reasons.most_common()[REASONS_SHOWN:])
        table.add_row("  rejected for other reasons", f"{rest:,}", style="yellow")
    for note, count in report.notes.most_common():
        table.add_row(f"  accepted, {note}", f"{count:,}", style="yellow")
    table.add_row("read = accepted + rejected + outside", "yes" if report.balanced else "NO")
    return table

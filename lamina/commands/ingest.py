"""`lamina import`: files of one's own into the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS
from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.ingest.preview import Shown
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
    file: Annotated[Path, typer.Argument(help="CSV, JSON or parquet file.")],
    mapping: Annotated[
        str | None,
        typer.Option(help="Path of a mapping, or a shipped one, such as handbook; with --guess, where to write."),
    ] = None,
    guess: Annotated[
        bool,
        typer.Option("--guess", help="Write a first mapping from the file's columns and show rows; import nothing."),
    ] = False,
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
    if guess:
        _guess(file, Path(mapping or f"{file.name.split('.')[0]}.yaml"), console)
        return
    if mapping is None:
        raise typer.BadParameter("say which, or let --guess write a first one", param_hint="--mapping")
    loaded = load_mapping(mapping)
    settings = load_settings() if lake is None else load_settings(lake_url=lake)
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
            settings.lake_url,
            source=source,
            since=since.date() if since else None,
            until=until.date() if until else None,
            salt=salt,
            dry_run=dry_run,
            currency=settings.currency,
            progress=lambda rows: bar.update(task, completed=rows),
        )
    console.print(_table(report, dry_run))
    if report.rejects_path:
        console.print(f"rejected rows: {report.rejects_path}")


def _guess(file: Path, target: Path, console: Console) -> None:
    from lamina.errors import MappingError
    from lamina.ingest.guess import guess_mapping
    from lamina.ingest.mapping import load_mapping
    from lamina.ingest.preview import preview

    if target.exists():
        raise MappingError(f"{target} is there already and is not written over: name another file with --mapping")
    text = guess_mapping(file)
    try:
        with target.open("x", encoding="utf-8") as written:
            written.write(text)
    except OSError as error:
        raise MappingError(f"{target} cannot be written: {error.strerror or error}") from None
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(_rows(preview(file, load_mapping(str(target)))))
    console.print(
        f"written: {target}. Correct it, then: lamina import transactions {file} --mapping {target} --dry-run",
        markup=False,
        soft_wrap=True,
    )


def _rows(shown: list[Shown]) -> Table:
    """A column a row of the file: there are more fields than rows."""
    from lamina.contracts.cards import starred

    table = Table(header_style="bold")
    table.add_column("field")
    for row in shown:
        table.add_column(f"row {row.number}", overflow="fold")
    for name in shown[0].fields if shown else ():
        table.add_row(name, *(Text(starred(_value(name, row.fields[name]))) for row in shown))
    table.add_row("is fraud", *("yes" if row.is_fraud else "no" for row in shown))
    table.add_row("rejected", *(Text(row.problem or "", style="yellow") for row in shown))
    return table


def _value(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "timestamp" and MIN_TIMESTAMP_MS <= value <= MAX_TIMESTAMP_MS:
        return datetime.fromtimestamp(value / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{value['lat']:g}, {value['lon']:g}" if name == "location" else str(value)


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

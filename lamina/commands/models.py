"""`lamina models`: what is registered, what serves, and how to change that by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.registry.protocol import ModelRegistry

app = typer.Typer(name="models", help="Registered models and which of them serves.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The model, named as its system, such as fraud.")]


def register(parent: typer.Typer) -> None:
    """Add `models` to `parent`."""
    parent.add_typer(app, name="models")


def _registry() -> ModelRegistry:
    from lamina.registry.mlflow import MlflowRegistry

    return MlflowRegistry(load_settings().mlflow_uri)


@app.command("list")
def list_versions(
    name: Annotated[str, typer.Argument(help="One model; all systems' models when left out.")] = "",
) -> None:
    """List versions, newest first, with the day each was trained for and its aliases."""
    from lamina.definitions import system_names

    registry = _registry()
    table = Table(box=None, header_style="bold")
    for heading in ("model", "version", "trained for", "aliases", "registered", "note"):
        table.add_column(heading)
    for model in [name] if name else system_names():
        for found in registry.versions(model):
            superseded = "superseded by a later run of that day" if "superseded_by" in found.tags else ""
            day, aliases = found.tags.get("logical_date", "-"), ", ".join(found.aliases) or "-"
            table.add_row(model, found.version, day, aliases, _at(found.created_ms), superseded)
    if not table.row_count:
        Console().print("no versions are registered: train one, such as python -m models.fraud.train --date 2018-08-21")
        return
    Console().print(table)


def _at(created_ms: int) -> str:
    return datetime.fromtimestamp(created_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


@app.command()
def show(
    name: Name,
    version: Annotated[str, typer.Argument(help="A version, or an alias such as champion.")] = "champion",
) -> None:
    """Show the spec of a version: inputs, split, parameters, metrics."""
    import tempfile
    from pathlib import Path

    from lamina.registry.protocol import find

    registry = _registry()
    found = registry.alias(name, version) or find(registry, name, version)
    console = Console()
    console.print(
        f"[bold]{name}[/] version {found.version}, run {found.run_id}, {', '.join(found.aliases) or 'no alias'}"
    )
    with tempfile.TemporaryDirectory(prefix="lamina-models-") as folder:
        files = registry.download(name, found.version, Path(folder))
        console.print_json((files / "spec.json").read_text(encoding="utf-8"))


@app.command()
def promote(name: Name, version: Annotated[str, typer.Argument(help="The version to serve.")]) -> None:
    """Make a version the champion; serving takes it up within seconds."""
    from lamina.registry import deploy

    deploy.promote(_registry(), name, version)
    Console().print(f"champion of {name} is version {version}; `lamina models rollback {name}` undoes it")


@app.command()
def rollback(name: Name) -> None:
    """Make the champion before the present one serve again; a second rollback undoes the first."""
    from lamina.registry import deploy

    Console().print(f"champion of {name} is version {deploy.rollback(_registry(), name)} again")

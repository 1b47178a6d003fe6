"""`lamina models`: what is registered, what serves, and how to change that by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.commands.output import make_console, make_table, print_markdown
from lamina.errors import UnknownModel
from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.registry.protocol import ModelRegistry, ModelVersion

app = typer.Typer(name="models", help="Registered models and which of them serves.", no_args_is_help=True)

MODEL_CARD = "model_card.md"
"""What every system's training calls the card it leaves in the run."""

Name = Annotated[str, typer.Argument(help="The registered model, such as fraud.")]
Version = Annotated[str, typer.Argument(help="A version, or an alias such as champion.")]


def register(parent: typer.Typer) -> None:
    """Add `models` to `parent`."""
    parent.add_typer(app, name="models")


def _registry() -> ModelRegistry:
    from lamina.registry.mlflow import MlflowRegistry

    return MlflowRegistry(load_settings().mlflow_uri)


@app.command("list")
def list_versions(
    name: Annotated[str, typer.Argument(help="One model; all registered ones when left out.")] = "",
) -> None:
    """List versions, newest first, with the day each was trained for and its aliases."""
    registry = _registry()
    rows = make_table("model", "version", "trained for", "aliases", "registered", "note")
    if name:
        _known(registry, name)
    for model in [name] if name else registry.names():
        for found in registry.versions(model):
            superseded = "superseded by a later run of that day" if "superseded_by" in found.tags else ""
            day, aliases = found.tags.get("logical_date", "-"), ", ".join(found.aliases) or "-"
            rows.add_row(model, found.version, day, aliases, _at(found.created_ms), superseded)
    if not rows.row_count:
        make_console().print(
            "no versions are registered: train one, such as python -m models.fraud.train --date 2018-08-21"
        )
        return
    make_console().print(rows)


def _at(created_ms: int) -> str:
    return datetime.fromtimestamp(created_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _known(registry: ModelRegistry, name: str) -> None:
    """Nothing where the model is registered.

    Raises: UnknownModel: names those that are.
    """
    if name not in (names := registry.names()):
        raise UnknownModel(f"there is no model {name!r}; there are {', '.join(names) or 'none'}")


def _found(registry: ModelRegistry, name: str, version: str) -> ModelVersion:
    """The version under an alias or of a number.

    Raises: UnknownModel: when there is no such model; RegistryError: when it has no such version or alias.
    """
    from lamina.registry.protocol import RegistryError, find

    if not version.isdecimal() and (found := registry.alias(name, version)) is not None:
        return found
    _known(registry, name)
    if version.isdecimal():
        return find(registry, name, version)
    held = sorted(alias for each in registry.versions(name) for alias in each.aliases)
    raise RegistryError(
        f"no version of {name!r} has the alias {version!r}; the aliases are {', '.join(held) or 'none'}. "
        f"`lamina models list {name}` shows the versions, `lamina models promote {name} VERSION` makes one the champion"
    )


def _named(version: ModelVersion) -> str:
    return f" ({', '.join(version.aliases)})" if version.aliases else ""


def _spec(registry: ModelRegistry, version: ModelVersion) -> str:
    """The version's `spec.json` as text."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lamina-models-") as folder:
        files = registry.download(version.name, version.version, Path(folder))
        return (files / "spec.json").read_text(encoding="utf-8")


@app.command()
def show(name: Name, version: Version = "champion") -> None:
    """Show the spec of a version: inputs, split, parameters, metrics."""
    registry = _registry()
    found = _found(registry, name, version)
    console = make_console()
    console.print(f"[bold]{name}[/] version {found.version}, run {found.run_id}{_named(found) or ', no alias'}")
    console.print_json(_spec(registry, found))


@app.command()
def card(name: Name, version: Version = "champion") -> None:
    """Print the model card of a version: data, figures, slices, limits."""
    registry = _registry()
    print_markdown(registry.read(name, _found(registry, name, version).version, MODEL_CARD))


@app.command()
def compare(
    name: Name,
    first: Annotated[str, typer.Argument(help="A version or an alias.")],
    second: Annotated[str, typer.Argument(help="A version, or an alias such as champion.")] = "champion",
) -> None:
    """Show two versions side by side: what they were made from and their figures, where they differ."""
    from lamina.registry.comparison import compare_specs

    registry = _registry()
    left, right = (_found(registry, name, version) for version in (first, second))
    found = compare_specs(_spec(registry, left), _spec(registry, right))
    rows = make_table(name, *(f"version {v.version}{_named(v)}" for v in (left, right)))
    for row in found.rows:
        rows.add_row(*row)
    console = make_console()
    console.print(rows)
    for remark in found.remarks:
        console.print(remark, markup=False)


@app.command()
def add(
    name: Name, folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The model's files.")]
) -> None:
    """Register a folder of files as a new version, such as a network that `lamina.scoring.export` wrote."""
    import json
    import shutil
    import tempfile

    from lamina.registry.protocol import MODEL_FOLDER, TrainingRun
    from lamina.scoring.load import load
    from lamina.scoring.protocol import SPEC_FILE

    scorer, registry = load(folder), _registry()
    spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="lamina-models-") as artefacts:
        shutil.copytree(folder, Path(artefacts) / MODEL_FOLDER)
        # Under the model's own name: a retraining of its system must not withdraw it.
        run = TrainingRun(name, datetime.now(UTC).date(), Path(artefacts), metrics=spec.get("metrics", {}))
        version = registry.register(name, registry.record(run), {"system": scorer.system}).version
    make_console().print(
        f"version {version} of {name} is registered; `lamina models promote {name} {version}` makes it serve"
    )


@app.command()
def promote(
    name: Name, version: Annotated[str, typer.Argument(help="The version to serve, or an alias such as challenger.")]
) -> None:
    """Make a version the champion; serving takes it up within seconds."""
    from lamina.registry import deploy
    from lamina.registry.protocol import CHAMPION

    registry = _registry()
    wanted = _found(registry, name, version)
    if CHAMPION in wanted.aliases:
        make_console().print(f"version {wanted.version} is the champion of {name} already")
        return
    first = registry.alias(name, CHAMPION) is None
    deploy.promote(registry, name, wanted.version)
    undo = "" if first else f"; `lamina models rollback {name}` undoes it"
    make_console().print(f"champion of {name} is version {wanted.version}{undo}")


@app.command()
def challenge(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version to try; with --drop none.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Have no challenger any more.")] = False,
) -> None:
    """Make a version the challenger, which an experiment can try beside the champion; it serves nobody by itself."""
    from lamina.registry import deploy
    from lamina.registry.protocol import CHALLENGER

    if drop == bool(version):
        raise typer.BadParameter("give either a version or --drop")
    registry = _registry()
    if drop:
        registry.drop_alias(name, CHALLENGER)
        make_console().print(f"{name} has no challenger")
        return
    wanted = _found(registry, name, version)
    deploy.challenge(registry, name, wanted.version)
    make_console().print(
        f"challenger of {name} is version {wanted.version}; an arm with `model: challenger` in the experiment file "
        "tries it (docs/concepts/experiments.md)"
    )


@app.command()
def rollback(name: Name) -> None:
    """Make the champion before the present one serve again; a second rollback undoes the first."""
    from lamina.registry import deploy

    registry = _registry()
    _known(registry, name)
    make_console().print(f"champion of {name} is version {deploy.rollback(registry, name)} again")

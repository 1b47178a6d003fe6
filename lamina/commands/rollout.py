"""`lamina features rollout`: how far changed features are on their way, and the steps on it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lamina.clock import system_clock
from lamina.commands.jobs import run_job
from lamina.commands.output import make_console, make_table
from lamina.definitions import load, system_names
from lamina.errors import LaminaError, RolloutError
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from lamina.contracts.features import FeatureSet
    from lamina.registry.protocol import ModelRegistry
    from lamina.rollout.generation import Generation
    from lamina.rollout.status import GenerationStatus
    from lamina.rollout.steps import Means

Start = Annotated[bool, typer.Option("--start", help="Fill what the code defines; read it once it has caught up.")]
Finish = Annotated[bool, typer.Option("--finish", help="Remove what is kept beside it, for a way back.")]


def register(parent: typer.Typer) -> None:
    """Add `rollout` to `parent`."""
    parent.command()(rollout)


def rollout(
    system: Annotated[str, typer.Option(help="One system; all when left out.")] = "",
    start: Start = False,
    finish: Finish = False,
) -> None:
    """Show how far changed features are, or take a step: each may be repeated, and goes on where it was."""
    from lamina.rollout.generation import Generation

    if start and finish:
        raise RolloutError("one step at a time: --start first, and --finish once nobody needs the old features")
    settings, console = load_settings(), make_console()
    for name in [system] if system else system_names():
        own = Generation(load(name))
        if start:
            _start(settings, own, console)
        elif finish:
            _finish(settings, own, console)
        else:
            _show(settings, own, console)


def _start(settings: Settings, own: Generation, console: Console) -> None:
    from lamina.features.entity import utc
    from lamina.rollout import steps
    from lamina.rollout.status import lacks

    record = steps.start(settings, own, _means(settings, own.system, console))
    told = f"{own.system}: {record.id} is live since {utc(record.live_ms or 0)} UTC"
    try:
        lacking = lacks(settings, own)
    except LaminaError as error:
        raise RolloutError(f"{told} by its record, and whether anybody can read it is not known: {error}") from error
    console.print(told if not lacking else f"{told}, and not all of it is there:", markup=False, highlight=False)
    for what in lacking:
        console.print(f"  {what}", markup=False, highlight=False)


def _finish(settings: Settings, own: Generation, console: Console) -> None:
    from lamina.rollout import steps

    gone = steps.finish(settings, own, _means(settings, own.system, console))
    text = f"removed {', '.join(gone)}" if gone else "nothing is kept beside what is live"
    console.print(f"{own.system}: {text}", highlight=False)


def _means(settings: Settings, system: str, console: Console) -> Means:
    from lamina.local import archive
    from lamina.local.stack import Stack
    from lamina.local.streams import CODE, submit_generation
    from lamina.rollout.steps import Means

    def submit(generation: Generation) -> None:
        archive.pack(CODE)
        submit_generation(settings, generation, Stack(settings.stack_dir).flink_env())

    told = [""]

    def tell(text: str) -> None:
        if text != told[0]:
            console.print(f"{system}: {text}", markup=False, highlight=False)
        told[0] = text

    def fill(day: date) -> int:
        return run_job("fill", ["--system", system, "--date", day.isoformat()])

    return Means(submit, fill, system_clock, tell, misfit=lambda features: champion_misfit(settings, features))


def champion_misfit(settings: Settings, features: FeatureSet, registry: ModelRegistry | None = None) -> str | None:
    """Which inputs of the champion `features` lack or compute otherwise; None where it can read them, or is none.

    Raises: RegistryError: when the registry does not answer.
    """
    from lamina.registry.mlflow import MlflowRegistry
    from lamina.registry.protocol import CHAMPION
    from lamina.scoring.inputs import Input, misfit
    from lamina.scoring.protocol import SPEC_FILE

    source = registry or MlflowRegistry(settings.mlflow_uri)
    found = source.alias(features.system, CHAMPION)
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        spec = json.loads((source.download(features.system, found.version, Path(folder)) / SPEC_FILE).read_bytes())
    return misfit([Input.model_validate(each) for each in spec["inputs"]], features)


def _show(settings: Settings, own: Generation, console: Console) -> None:
    from lamina.features.entity import utc
    from lamina.rollout.status import status

    found = status(settings, own)
    table = make_table("system", "generation", "state", "since (UTC)", "stream job", "events to read", "tiles to move")
    for each in found.generations:
        since = utc(each.since_ms) if each.since_ms else "-"
        read = (str(each.read.left), str(each.read.tiles)) if each.read else ("-", "-")
        table.add_row(own.system, _named(each), each.state, since, (each.job or "none").lower(), *read)
    console.print(table)
    table = make_table("tile spec", "layer", "read by", "batch tiles until (UTC)", "missing", whole={"tile spec"})
    for spec in found.specs:
        end = utc(spec.batch_end_ms) if spec.batch_end_ms else "-"
        table.add_row(escape(spec.key), spec.layer, " ".join(spec.generations), end, spec.problem or "nothing")
    console.print(table)
    if step := next_step(found.generations):
        console.print(f"next: {step}", markup=False, highlight=False)


def _named(each: GenerationStatus) -> str:
    return f"{each.id} (this code)" if each.is_own else each.id


def next_step(generations: Sequence[GenerationStatus]) -> str | None:
    """What is to be done now, or None."""
    (own,) = (each for each in generations if each.is_own)
    if own.state != "live":
        return "lamina features rollout --start fills what this code defines, and makes it live"
    if len(generations) > 1:
        return "lamina features rollout --finish removes the others; until then the way back to them is short"
    return None

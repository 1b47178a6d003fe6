"""`lamina features`: what is defined, what is stored of an entity and why, and the jobs that fill and check it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lamina.clock import system_clock
from lamina.commands import rollout
from lamina.commands.jobs import run_job
from lamina.commands.output import make_console, make_table, print_markdown
from lamina.commands.systems import DEFAULT_SYSTEM, SystemName
from lamina.contracts.features import FeatureSet, FeatureView
from lamina.definitions import load, system_names
from lamina.errors import DefinitionError, LaminaError
from lamina.settings import load_settings

app = typer.Typer(name="features", help="Features: definitions, stored values, backfill, parity.", no_args_is_help=True)

TILES_SHOWN = 12
DAY_FORMATS = ["%Y-%m-%d"]


def register(parent: typer.Typer) -> None:
    """Add `features` to `parent`."""
    rollout.register(app)
    parent.add_typer(app, name="features")


@app.command("list")
def list_views(system: Annotated[str, typer.Option(help="One system; all when left out.")] = "") -> None:
    """List feature views: entity, source, windows, resolution, layers and how many features each makes."""
    headings = "system", "view", "entity", "source", "windows", "tiles", "delay", "layers", "features"
    found = make_table(*headings, whole={"view", "source"})
    for name in [system] if system else system_names():
        for v in load(name).views:
            windows = ", ".join(w.length.label for w in v.spans)
            delay, number = v.delay.label if v.delay.s else "-", str(len(v.features))
            resolution = ", ".join(dict.fromkeys(w.resolution.label for w in v.spans))
            found.add_row(
                name, v.name, v.entity.name, v.source.name, windows, resolution, delay, v.layers.value, number
            )
    make_console().print(found)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A view or a feature.")]) -> None:
    """Show the definition of a view, or of the view that makes a feature."""
    from lamina.features.pages import NOTE, page

    features, view = find_view(name)
    print_markdown(page(features, view).removeprefix(NOTE))


def find_view(name: str) -> tuple[FeatureSet, FeatureView]:
    """The view called `name`, or the first of those that make the feature called so.

    Raises: DefinitionError: when there is none.
    """
    known = []
    for system in system_names():
        features = load(system)
        homes = {f.name: f.view for f in features.window_features} | {view.name: view for view in features.views}
        for part in features.with_parts([name]):
            if part in homes:
                return features, homes[part]
        known += [view.name for view in features.views]
    raise DefinitionError(f"no view or windowed feature {name!r}; views are {', '.join(known)}")


@app.command()
def get(
    entity: Annotated[str, typer.Argument(help="Kind of entity, such as user.")],
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    at: Annotated[
        datetime | None, typer.Option(help="Time asked for, UTC, such as 2018-08-14T12:00:00; else now.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="The tiles that made each value.")] = False,
    system: Annotated[str, typer.Option(help="System, where several share the entity.")] = "",
) -> None:
    """Show what is stored of an entity: every feature at a time, from the events before it."""
    from lamina.features.entity import read_entity, utc
    from lamina.store.redis import RedisStore

    at_ms = system_clock() if at is None else round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    store = RedisStore(load_settings().redis_url.get_secret_value())
    found = read_entity(store, load(system or system_of(entity)), entity, entity_id, at_ms, explain=explain)
    console = make_console()
    stale = ", ".join(sorted(found.vector.stale))
    state = "nothing is stored of it" if found.vector.unknown else f"stale in {stale}" if stale else "fresh"
    console.print(f"{entity} {entity_id} at {utc(at_ms)} UTC: {state}")
    for tile_spec, through in found.vector.through.items():
        console.print(f"  batch tiles of {tile_spec} through {utc(through)}", highlight=False)
    values = make_table("feature", "value", *(["tiles"] if explain else []), whole={"feature"}, right={"value"})
    for name in found.features.names:
        value = found.value(name)
        row = [name, "-" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)]
        if explain:
            used = found.tiles.get(name, ())
            lines = [
                f"{t.layer} {utc(t.start_ms)} n={t.n} "
                + " ".join(f"{label}={text}" for label, text in t.states.items())
                for t in used[-TILES_SHOWN:]
            ]
            older = len(used) - TILES_SHOWN
            row.append(escape("\n".join(([f"... {older} older"] if older > 0 else []) + lines) or "-"))
        values.add_row(*row)
    console.print(values)


@app.command()
def freeze() -> None:
    """Record what every feature means now, so that a later change under the same name and version is refused."""
    from lamina.definitions import freeze as record_meanings
    from lamina.definitions import meanings_file

    found = record_meanings()
    for system, names in found.items():
        make_console().print(f"{system}: {len(names)} new or changed{': ' + ', '.join(names) if names else ''}")
    files = [meanings_file(system).name for system, names in found.items() if names]
    if files:
        make_console().print(f"recorded in {', '.join(files)}: commit them")


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 when outdated.")] = False,
) -> None:
    """Write docs/features from the definitions, a page a view."""
    from lamina.features import pages

    changed = pages.outdated() if check else pages.write()
    make_console().print("\n".join(changed) if changed else "every page is current")
    if check and changed:
        raise typer.Exit(1)


@app.command()
def parity(
    system: SystemName = DEFAULT_SYSTEM,
    since: Annotated[
        datetime | None, typer.Option(help="All decisions from this time on, UTC, also of days before.")
    ] = None,
    day: Annotated[
        datetime | None, typer.Option("--date", formats=DAY_FORMATS, help="Day of the log; else its newest.")
    ] = None,
    generation: Annotated[str, typer.Option(help="One of `rollout`, to compare by; else what the code defines.")] = "",
) -> None:
    """Recompute with Spark what was served, from the prediction log; exit code 3 when a value is not explained."""
    chosen = day.date() if day else newest_logged(load_settings().lake_url, system)
    arguments = ["--system", system, "--date", chosen.isoformat()]
    arguments += ["--since", since.isoformat()] if since else []
    raise typer.Exit(run_job("parity", [*arguments, *(["--generation", generation] if generation else [])]))


@app.command()
def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=DAY_FORMATS, help="First day, UTC.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY_FORMATS, help="Last day, itself included.")],
    system: SystemName = DEFAULT_SYSTEM,
    again: Annotated[bool, typer.Option("--again", help="Begin with the first day, whatever is recorded.")] = False,
) -> None:
    """Build the batch tiles of a range of days and publish the newest; a rerun after a kill goes on where it was."""
    days = ["--from", first.date().isoformat(), "--to", last.date().isoformat()]
    raise typer.Exit(run_job("backfill", ["--system", system, *days, *(["--again"] if again else [])]))


@app.command()
def rebuild(system: SystemName = DEFAULT_SYSTEM) -> None:
    """Fill an empty Redis from the lake's newest batch tiles and the topic of tiles, while serving goes on."""
    from lamina.features.built import require_built_over
    from lamina.semantics.plan import make_plan
    from lamina.streams.rebuild import replay
    from lamina.streams.store import store_for_tiles

    settings = load_settings()
    day = newest_built(settings.lake_url, load(system))
    require_built_over(day, make_plan(load(system)), settings.clock)
    console = Console(stderr=True)
    store = store_for_tiles(settings)
    with console.status("tiles of the stream job, from the beginning of their topic ..."):
        replay(settings.kafka_bootstrap, settings.topic_prefix, store)
    console.print(f"the tiles of the stream job are back; batch tiles of {day} follow")
    raise typer.Exit(run_job("publish", ["--system", system, "--date", day.isoformat(), "--again"]))


@app.command("take-back")
def take_back(
    through: Annotated[datetime, typer.Option("--through", formats=DAY_FORMATS, help="Last day that is to stay, UTC.")],
    system: SystemName = DEFAULT_SYSTEM,
) -> None:
    """Move the end of the batch layer back to the end of a day: what a run for a wrong day has published goes."""
    raise typer.Exit(run_job("take_back", ["--system", system, "--date", through.date().isoformat()]))


def system_of(entity: str) -> str:
    """The system that has an entity of this name.

    Raises: DefinitionError: when none has it, or when several do and it has to be said which is meant.
    """
    having = {name: [e.name for e in load(name).entities] for name in system_names()}
    found = [name for name, entities in having.items() if entity in entities]
    if not found:
        known = ", ".join(sorted({e for entities in having.values() for e in entities}))
        raise DefinitionError(f"no system has an entity {entity!r}; there are {known}")
    if len(found) > 1:
        raise DefinitionError(f"systems {', '.join(found)} share entity {entity!r}: name one with --system")
    return found[0]


def newest_built(lake: str, features: FeatureSet) -> date:
    """The newest day through whose end the lake holds every batch tile of a system.

    Raises: LaminaError: when there is none.
    """
    from lamina.features.built import built_through
    from lamina.semantics.plan import make_plan

    built = built_through(lake, make_plan(features))
    if not built:
        raise LaminaError(f"{lake} holds no batch tiles of {features.system!r}: run `lamina features backfill` first")
    return built[-1] - timedelta(days=1)


def newest_logged(lake: str, system: str) -> date:
    """The newest day of which the lake holds what `system` has answered.

    Raises: LaminaError: when it holds none.
    """
    from lamina.contracts.topics import predictions_of
    from lamina.lake.partitions import ingested_days

    topic = predictions_of(system)
    logged = ingested_days(lake, topic)
    if not logged:
        raise LaminaError(
            f"{lake} holds no logged answers of {system!r}: archive topic {topic!r} first (DAG archive_daily)"
        )
    return logged[-1]

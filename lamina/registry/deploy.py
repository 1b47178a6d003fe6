"""Which version serves: `python -m lamina.registry.deploy` moves the champion, `rollback` moves it back.

Moving an alias is all there is to it: serving polls the alias and swaps models without a restart.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer

from lamina import entry
from lamina.clock import require_over
from lamina.registry.evaluation import Evaluation, read_evaluation
from lamina.registry.gate import ENOUGH, Enough, Parity, decide, latest_parity, may_challenge
from lamina.registry.protocol import CHALLENGER, CHAMPION, PREVIOUS, Kind, ModelRegistry, RegistryError, find
from lamina.settings import load_settings


@dataclass(frozen=True)
class Deployment:
    """What was decided. `champion` is the version that serves afterwards, `previous` the one `rollback` returns to.

    `challenger` is the version that an experiment may try beside it.
    """

    system: str
    decision: str
    champion: str | None
    previous: str | None
    challenger: str | None
    reasons: tuple[str, ...]


def promote(registry: ModelRegistry, name: str, version: str) -> None:
    """Make `version` the champion; the one before keeps the alias `previous`. Does nothing when it already is.

    Raises: RegistryError: when there is no such version.
    """
    wanted, champion = find(registry, name, version), registry.alias(name, CHAMPION)
    if champion is not None and champion.version == wanted.version:
        return
    # `previous` first: if the second step fails, the old champion still serves.
    if champion is not None:
        registry.set_alias(name, PREVIOUS, champion.version)
    registry.set_alias(name, CHAMPION, wanted.version)
    previous = registry.alias(name, PREVIOUS)
    if previous is not None and previous.version == wanted.version:
        # The champion before was deleted: nothing is left to return to.
        registry.drop_alias(name, PREVIOUS)
    for alias in (kind.alias for kind in Kind):
        challenger = registry.alias(name, alias)
        if challenger is not None and challenger.version == wanted.version:
            registry.drop_alias(name, alias)


def challenge(registry: ModelRegistry, name: str, version: str, alias: str = CHALLENGER) -> None:
    """Make `version` a challenger: an experiment file can name it by `alias`. Nothing serves it by itself.

    Raises: RegistryError: when there is no such version, or it is the champion.
    """
    wanted, champion = find(registry, name, version), registry.alias(name, CHAMPION)
    if champion is not None and champion.version == wanted.version:
        raise RegistryError(f"version {version} of {name!r} is the champion: it cannot challenge itself")
    registry.set_alias(name, alias, wanted.version)


def rollback(registry: ModelRegistry, name: str) -> str:
    """Make the previous champion serve again; returns its version. A second rollback undoes the first.

    Raises: RegistryError: when no earlier champion is known.
    """
    previous, champion = registry.alias(name, PREVIOUS), registry.alias(name, CHAMPION)
    if previous is None or (champion is not None and champion.version == previous.version):
        raise RegistryError(
            f"model {name!r} has no version under the alias {PREVIOUS!r} that does not serve already: "
            f"choose one with `lamina models promote {name} VERSION`"
        )
    promote(registry, name, previous.version)
    return previous.version


def moved(registry: ModelRegistry, evaluation: Evaluation) -> str | None:
    """Why the evaluation says nothing any more: another version than it was measured against serves now, or the same
    one again, to which somebody went back from this; or None.

    A version that serves already has nothing to be compared with.
    """
    name, candidate = evaluation.system, evaluation.candidate
    champion, previous = registry.alias(name, CHAMPION), registry.alias(name, PREVIOUS)
    now = champion.version if champion else None
    if candidate is not None and now == candidate.version:
        return None
    if now == evaluation.against:
        if candidate is None or previous is None or previous.version != candidate.version:
            return None
        return (
            f"version {candidate.version} has served, and was rolled back to {now}: where it is to serve again, "
            f"promote it by hand (lamina models promote {name} {candidate.version})"
        )
    then = f"version {evaluation.against} served" if evaluation.against else "nothing served"
    return (
        f"{then} when the version of {evaluation.logical_date} was evaluated, and "
        f"{f'version {now} does' if now else 'nothing does'} now: evaluate it again "
        f"(python -m models.{evaluation.system}.evaluate --date {evaluation.logical_date})"
    )


def deploy(
    registry: ModelRegistry,
    evaluation: Evaluation,
    parity: Parity | None,
    enough: Enough = ENOUGH,
    kind: Kind = Kind.TRAINING,
) -> Deployment:
    """Promote the evaluated version when the gate lets it pass (`lamina.registry.gate.decide`).

    One that stays behind becomes the challenger of its `kind` when it may (`lamina.registry.gate.may_challenge`). An
    evaluation against a champion that has moved since changes nothing.
    """
    name, candidate = evaluation.system, evaluation.candidate
    promoted, reasons = decide(evaluation, parity, enough)
    if (gone := moved(registry, evaluation)) is not None:
        promoted, reasons = False, (*reasons, gone)
    elif promoted and candidate is not None:
        promote(registry, name, candidate.version)
    elif candidate is not None and may_challenge(evaluation, parity, enough):
        challenge(registry, name, candidate.version, kind.alias)
    champion, previous, challenger = (registry.alias(name, alias) for alias in (CHAMPION, PREVIOUS, kind.alias))
    return Deployment(
        system=name,
        decision="promoted" if promoted else "kept",
        champion=champion.version if champion else None,
        previous=previous.version if previous else None,
        challenger=challenger.version if challenger else None,
        reasons=reasons,
    )


def main(
    system: Annotated[str, typer.Option(help="The system whose model it is.")],
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date the model was trained for.")],
    lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
    kind: Annotated[Kind, typer.Option(help="How the version was made.")] = Kind.TRAINING,
) -> None:
    """Move the alias `champion` to the version evaluated for the day, if it earned that; prints the decision."""
    from lamina.registry.mlflow import MlflowRegistry

    settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
    lake = settings.lake_url
    evaluation = read_evaluation(lake, system, require_over(date.date(), settings.clock), kind)
    enough = Enough(settings.parity_max_age_days, settings.parity_min_decisions)
    decided = deploy(MlflowRegistry(settings.mlflow_uri), evaluation, latest_parity(lake, system), enough, kind)
    sys.stdout.write(json.dumps(asdict(decided)) + "\n")


if __name__ == "__main__":
    entry.run(lambda: typer.run(main))

"""What a model registry is. `mlflow` talks to a server, `memory` is for tests; both pass one contract suite.

Names of aliases: `CHAMPION` serves, `PREVIOUS` served before it, `CHALLENGER` may be tried beside it, and so may those
of other kinds (`Kind.alias`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from lamina.errors import LaminaError

CHAMPION = "champion"
PREVIOUS = "previous"
CHALLENGER = "challenger"

MODEL_FOLDER = "model"
"""Folder of a run's artefacts that holds what serving downloads."""
CARD_FILE = "model_card.md"
"""File of a version that people read first."""

KIND = "kind"
"""Tag of a version that was made in another way than by a training: how."""


class Kind(StrEnum):
    """How a version was made; one without the tag was trained."""

    TRAINING = "training"
    BLEND = "blend"
    ONLINE = "online"
    RANKER = "ranker"

    @property
    def alias(self) -> str:
        """The alias of the newest version of the kind that may be tried beside the champion."""
        return CHALLENGER if self is Kind.TRAINING else self.value


class RegistryError(LaminaError):
    """A registry that does not answer, or has not got what was asked for."""


class NotInRegistry(RegistryError):
    """It answers: there is no such version, or the version has no such file."""


@dataclass(frozen=True)
class TrainingRun:
    """What is kept of one training. `artefacts` is a folder; its sub-folder `model` is what can be registered."""

    system: str
    logical_date: date
    artefacts: Path
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of a model. `created_ms`: epoch milliseconds. `aliases` in alphabetical order."""

    name: str
    version: str
    run_id: str
    created_ms: int
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def kind(self) -> str:
        """How it was made."""
        return self.tags.get(KIND, Kind.TRAINING)


class ModelRegistry(Protocol):
    """Training runs and the versions registered from them. A method may block; it raises RegistryError on failure."""

    def record(self, run: TrainingRun) -> str:
        """Keep `run`; returns its id. Tags it with the system and the logical date."""

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """A new version of the model `name` from the folder `model` of a run.

        Names are checked where they are written (`lamina.registry.names`), and so are aliases.
        """

    def supersede(self, system: str, day: date, *, by: str) -> list[str]:
        """Withdraw the runs of `system` for `day` other than `by`, with their versions; returns their ids.

        A version that holds an alias stays, because it may be serving; it is tagged `superseded_by`.
        """

    def names(self) -> list[str]:
        """Names of all registered models, in alphabetical order."""

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of `name`, newest first; none of an unknown name."""

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version under `alias`."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`, away from any other."""

    def drop_alias(self, name: str, alias: str) -> None:
        """Point `alias` at nothing; does nothing where it does not exist."""

    def tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""

    def download(self, name: str, version: str, folder: Path) -> Path:
        """The version's files in a folder at or under `folder`, which is created."""

    def attach(self, name: str, version: str, file: Path) -> None:
        """Put a copy of `file` beside the model of the version, among its run's artefacts; replaces one of its name."""

    def read(self, name: str, version: str, file: str) -> str:
        """The text of an artefact of the version's run, such as its model card.

        Raises: NotInRegistry: there is none of that name.
        """


def find(registry: ModelRegistry, name: str, version: str) -> ModelVersion:
    """The version of `name` called `version`.

    Raises: NotInRegistry: when there is none; lists those that there are.
    """
    versions = registry.versions(name)
    for candidate in versions:
        if candidate.version == version:
            return candidate
    known = ", ".join(v.version for v in versions) or "none"
    raise NotInRegistry(
        f"model {name!r} has no version {version}; it has {known}. `lamina models list {name}` shows them"
    )


def supersede_kind(registry: ModelRegistry, name: str, day: date, kind: str, *, by: str) -> None:
    """Tag the versions of `name` for `day` that are of one `kind`: those of the run `by` take the place of others."""
    for version in registry.versions(name):
        if version.run_id != by and (version.kind, version.tags.get("logical_date")) == (kind, day.isoformat()):
            registry.tag(name, version.version, "superseded_by", by)


def trained_for(registry: ModelRegistry, name: str, day: date, kind: Kind | None = None) -> ModelVersion | None:
    """The newest version of `name` for `day` that was not superseded, of one `kind` where that is given."""
    for candidate in registry.versions(name):
        if candidate.tags.get("logical_date") != day.isoformat() or "superseded_by" in candidate.tags:
            continue
        if kind is None or candidate.kind == kind:
            return candidate
    return None

"""Models whose inputs are told in other words today: the same weights, registered again with today's words.

A model is used only as long as the definitions say of each of its inputs what they said in training. Where a version
of lamina began to say the same in other words, versions that have an alias are led over: a new version takes their
aliases, and the old one stays, without any. A process of the version before goes on with the model it has loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from lamina.contracts.features import FeatureSet
from lamina.definitions import load, system_names
from lamina.migrations.step import Task
from lamina.registry.protocol import MODEL_FOLDER, ModelRegistry, ModelVersion, RegistryError, TrainingRun
from lamina.scoring.inputs import computation_of
from lamina.scoring.protocol import SPEC_FILE

ORIGIN = "migrated_from"
"""Tag of a version: the one it was made of."""

SaidBefore = Callable[[FeatureSet, str], Sequence[str]]
"""In which words versions before told what a feature means today."""


def reworded_models(registry: ModelRegistry, said_before: SaidBefore, kept: Sequence[str] = ()) -> list[Task]:
    """A task for each version with an alias whose inputs all mean what they meant, some of them in other words.

    Args: kept: files beside the model that go along, such as its card.
    Raises: RegistryError: when the registry does not answer.
    """
    found = []
    for name in registry.names():
        for version in registry.versions(name):
            if version.aliases and (said := _said(registry, version, said_before)):
                what = f"register version {version.version} of {name} ({', '.join(version.aliases)}) anew, with "
                task = partial(_lead_over, registry, version, said, kept)
                found.append(Task(f"{what}the words of today for {len(said)} inputs", task))
    return found


def _said(registry: ModelRegistry, version: ModelVersion, said_before: SaidBefore) -> dict[str, str]:
    """What is to be said of which inputs; nothing where one means something else, or nothing has to be changed."""
    with tempfile.TemporaryDirectory(prefix="lamina-migrate-") as scratch:
        try:
            spec = _spec(registry.download(version.name, version.version, Path(scratch)))
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}  # no model of lamina's
    system = spec.get("system")
    if system not in system_names():
        return {}
    features, said = load(system), {}
    for own in spec["inputs"]:
        name, meaning = own["name"], own["meaning"]
        if name not in features.names:
            return {}
        now = computation_of(features, name)
        if meaning == now:
            continue
        if meaning not in said_before(features, name):
            return {}
        said[name] = now
    return said


def _spec(folder: Path) -> dict[str, Any]:
    spec: dict[str, Any] = orjson.loads((folder / SPEC_FILE).read_bytes())
    return spec


def _lead_over(registry: ModelRegistry, version: ModelVersion, said: dict[str, str], kept: Sequence[str]) -> None:
    name = version.name
    made = next((v for v in registry.versions(name) if v.tags.get(ORIGIN) == version.version), None)
    if made is None:
        made = _register(registry, version, said, kept)
    for alias in version.aliases:
        registry.set_alias(name, alias, made.version)


def _register(
    registry: ModelRegistry, version: ModelVersion, said: dict[str, str], kept: Sequence[str]
) -> ModelVersion:
    with tempfile.TemporaryDirectory(prefix="lamina-migrate-") as scratch:
        artefacts = Path(scratch) / "artefacts"
        model = registry.download(version.name, version.version, artefacts)
        spec = _spec(model)
        for own in spec["inputs"]:
            own["meaning"] = said.get(own["name"], own["meaning"])
        (model / SPEC_FILE).write_bytes(orjson.dumps(spec, option=orjson.OPT_INDENT_2))
        if model != artefacts / MODEL_FOLDER:
            model = model.rename(artefacts / MODEL_FOLDER)
        for file in kept:
            try:
                (artefacts / file).write_text(registry.read(version.name, version.version, file), encoding="utf-8")
            except RegistryError:
                continue  # it had none
        day = date.fromisoformat(spec["logical_date"])
        tags = {**version.tags, ORIGIN: version.version}
        run = registry.record(TrainingRun(spec["system"], day, artefacts, tags={ORIGIN: version.version}))
        return registry.register(version.name, run, tags)

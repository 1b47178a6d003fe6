"""A retriever as a registered version, and a registered version as a retriever."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version as installed
from pathlib import Path

from lamina.registry.protocol import (
    CARD_FILE,
    CHAMPION,
    MODEL_FOLDER,
    ModelRegistry,
    ModelVersion,
    NotInRegistry,
    TrainingRun,
    supersede_kind,
)
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.files import Opened, open_retriever, save
from lamina.scoring.retrievers.protocol import Retriever, RetrieverSpec, VectorRetriever
from lamina.training.commit import commit
from lamina.training.retrieval.protocol import Method, settings_of

LIBRARIES = ("numpy", "scipy", "onnxruntime")


def retrieval_name(system: str) -> str:
    """Under what the retrievers of a system are registered: apart from its models, which are trained and withdrawn by
    days of their own.

    >>> retrieval_name("activity")
    'activity-retrieval'
    """
    return f"{system}-retrieval"


def publish(
    registry: ModelRegistry,
    system: str,
    day: date,
    method: Method,
    retriever: Retriever,
    seen: Interactions,
    metrics: Mapping[str, float],
) -> ModelVersion:
    """Register `retriever`, which `method` made of `seen`, in the place of earlier ones of the method and day.

    Nothing serves it until an alias is moved to it. Metrics say where they were measured by their names.
    """
    name, settings = retrieval_name(system), settings_of(method)
    spec = RetrieverSpec(
        form=retriever.form,
        system=system,
        logical_date=day,
        items=len(retriever.items),
        rows=len(seen),
        arguments=dict(retriever.arguments),
        settings={"method": method.name, **settings},
        metrics=dict(metrics),
        git_commit=commit(),
        libraries={library: installed(library) for library in LIBRARIES},
    )
    tags = {"system": system, "logical_date": day.isoformat(), "kind": method.name, "git_commit": spec.git_commit}
    with tempfile.TemporaryDirectory(prefix="lamina-retrieval-") as temporary:
        folder = Path(temporary)
        save(retriever, spec, folder / MODEL_FOLDER)
        (folder / CARD_FILE).write_text(_card(name, spec, retriever), encoding="utf-8")
        parameters = {key: str(value) for key, value in spec.settings.items()}
        run = TrainingRun(name, day, folder, parameters=parameters, metrics=dict(metrics), tags=tags)
        made = registry.register(name, registry.record(run), tags)
    supersede_kind(registry, name, day, method.name, by=made.run_id)
    return made


def open_version(registry: ModelRegistry, system: str, folder: Path, version: str | None = None) -> Opened:
    """The retriever of a version, by default the champion's, from the registry by way of `folder`.

    Raises: NotInRegistry: there is no champion, or no such version; ModelUnavailable: what is there cannot be opened.
    """
    name = retrieval_name(system)
    if version is None:
        champion = registry.alias(name, CHAMPION)
        if champion is None:
            raise NotInRegistry(
                f"no version of {name!r} serves: choose one with `lamina models promote {name} VERSION`"
            )
        version = champion.version
    return open_retriever(registry.download(name, version, folder))


def _card(name: str, spec: RetrieverSpec, retriever: Retriever) -> str:
    """What people read first."""
    by = "vectors, which an index finds" if isinstance(retriever, VectorRetriever) else "scores of all items"
    lines = [
        f"# {name} of {spec.logical_date}",
        "",
        f"Retrieves by {by}: form `{spec.form}`, {spec.items:,} items, learnt from {spec.rows:,} interactions.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in spec.settings.items()),
        *(f"| {key} | {value:.4f} |" for key, value in spec.metrics.items()),
        "",
        f"Commit {spec.git_commit}.",
    ]
    return "\n".join(lines) + "\n"

"""What the API gives every system, and what a system gives the API: the two sides of `build` in a system's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI

from lamina.clock import Clock
from lamina.contracts.base import Event
from lamina.contracts.features import FeatureSet
from lamina.registry.protocol import ModelRegistry
from lamina.scoring.protocol import Scorer
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT, Settings
from lamina.store.reader import Reader
from lamina.store.redis_reader import AsyncRedisReader
from serving.checks import Checks
from serving.routes.health import Dependency
from serving.stages.features import AsyncStore, FeatureStage
from serving.stages.log import EventLog
from serving.stages.model import ServedModel
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.supervision import Background

FILES_CHECK_S = 1.0
SYSTEMS = ROOT / "serving/systems"
EXPERIMENT_FILE = "experiment.yaml"


@dataclass(frozen=True)
class Models:
    """The champion of a system and the models of its experiment, kept current."""

    champion: ServedModel
    routing: Routing
    shadows: ShadowScorer

    def keep(self, background: Background, poll_s: float) -> None:
        """Look for new versions every `poll_s`, and at the experiment file."""
        background.every(poll_s, "champion", self.champion.refresh)
        background.every(poll_s, "challengers", self._refresh_challengers)
        background.every(FILES_CHECK_S, "experiment file", self._refresh_experiment)
        background.keep("shadow scores", self.shadows.run)

    def retry(self) -> None:
        """Look again at versions that were refused: what they were refused for may have changed."""
        for model in (self.champion, *self.routing.challengers):
            model.retry()

    def dependencies(self) -> dict[str, Dependency]:
        """How they do, by name."""
        model = self.champion.current
        return {
            "model": Dependency(version=model.version if model else None, problem=self.champion.problem),
            "experiment": Dependency(version=self.routing.book.version, problem=self.routing.problems),
        }

    async def _refresh_experiment(self) -> None:
        await asyncio.to_thread(self.routing.reload)
        self.routing.judge()

    async def _refresh_challengers(self) -> None:
        for model in self.routing.challengers:
            await model.refresh()


@dataclass(frozen=True)
class Platform:
    """What every system is built from.

    `own_store`: what whoever starts the service brought in the place of Redis, by which nothing is shared then.
    """

    settings: Settings
    registry: ModelRegistry
    own_store: AsyncStore | None
    events: EventLog
    checks: Checks
    clock: Clock

    def features(self, features: FeatureSet) -> FeatureStage:
        """A reader of the features of a system, which gives up as soon as the settings say."""
        timeout_ms = self.settings.redis_timeout_ms
        store = self.own_store or AsyncRedisReader(self.settings.redis_url.get_secret_value(), timeout_ms=timeout_ms)
        return FeatureStage(store, Reader(make_plan(features)), timeout_ms=timeout_ms)

    def models(
        self, system: str, load: Callable[[Path], Scorer], contract: type[Event], experiment_file: Path | None = None
    ) -> Models:
        """The champion registered under the system's name, and what the experiment in the file asks for.

        Args: contract: of the requests, of which an experiment may choose some; experiment_file: `experiment.yaml` in
        the system's own folder where none is named.
        Raises: ExperimentError: when the file cannot be right.
        """
        folder = self.settings.stack_dir / "models"
        champion = ServedModel(system, self.registry, load, folder / system)
        routing = Routing(
            champion,
            lambda wanted: ServedModel(system, self.registry, load, folder / f"{system}@{wanted}", wanted),
            experiment_file or SYSTEMS / system / EXPERIMENT_FILE,
            contract,
        )
        return Models(champion, routing, ShadowScorer(self.events, clock=self.clock))


class ServingSystem(Protocol):
    """What a system adds to the API; `build(platform)` in `serving/systems/<system>/build.py` gives it."""

    @property
    def name(self) -> str:
        """The system's name, which all its paths begin with."""

    @property
    def features(self) -> FeatureStage:
        """What it reads features with."""

    @property
    def models(self) -> Models:
        """Its models."""

    def mount(self, app: FastAPI) -> None:
        """Add its routes."""

    def keep(self, background: Background) -> None:
        """Say what is to be kept current while requests are served."""

    def dependencies(self) -> Mapping[str, Dependency]:
        """How what it alone needs does, by name."""

    def reload(self) -> Mapping[str, bool]:
        """Look at its files now: whether each was taken over, by what it holds."""

    def recall(self, topic: str, value: bytes) -> None:
        """Take an event that an earlier process wrote down, before requests are served; `topic` has no prefix."""

    async def close(self) -> None:
        """Let go of what it holds."""

"""The models of one system as they serve, kept current."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from serving.routes.health import Dependency
from serving.stages.model import ServedModel
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.supervision import Background

FILES_CHECK_S = 1.0


@dataclass(frozen=True)
class Models:
    """The champion of a system and the models of its experiment, kept current."""

    champion: ServedModel
    routing: Routing
    shadows: ShadowScorer

    def keep(self, background: Background, poll_s: float) -> None:
        """Look for new versions every `poll_s`, and at the experiment file."""
        name = self.champion.name
        background.every(poll_s, f"champion of {name}", self.champion.refresh)
        background.every(poll_s, f"challengers of {name}", self._refresh_challengers)
        background.every(FILES_CHECK_S, f"experiment file of {name}", self._refresh_experiment)
        background.keep(f"shadow scores of {name}", self.shadows.run)

    def retry(self) -> None:
        """Look again at versions that were refused: what they were refused for may have changed."""
        for model in (self.champion, *self.routing.challengers):
            model.retry()

    def withdraw(self, names: Collection[str]) -> None:
        """Take models beside the champion that read one of these features out of service, until they fit again."""
        for model in self.routing.challengers:
            if model.current is not None and not set(model.current.scorer.names).isdisjoint(names):
                model.withdraw()

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

"""A system that answers requests for lists: its routes, and what has to be kept current for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from fastapi import APIRouter, FastAPI

from lamina.monitoring import metrics
from lamina.reviews.cases import Reviewing
from lamina.settings import Settings
from lamina.store.table import Items, ItemTable
from serving.routes.health import Dependency
from serving.served_models import Models
from serving.stages.features import FeatureStage
from serving.stages.lists.case import Q
from serving.stages.lists.lister import Lister, Stages
from serving.stages.model import ServedVersion
from serving.supervision import Background

REFRESH_S = 2.0
"""Between two looks at all items: so much later than a viewer's own does what happens to an item count."""
OLD_S = 60.0
"""From this age on what is held of the items is a problem, of which the readiness tells."""


@dataclass(frozen=True)
class Listing(Generic[Q]):
    """Answers requests for lists; implements `ServingSystem`.

    digest: is given what was read of all items before requests see it, on the thread that has read it.
    """

    name: str
    settings: Settings
    features: FeatureStage
    models: Models
    table: ItemTable
    stages: Stages
    lister: Lister[Q]
    routers: Sequence[APIRouter] = ()
    further: Mapping[str, ServedVersion[Any]] = field(default_factory=dict)
    reviewing: Reviewing | None = None
    digest: Callable[[Items], None] = lambda items: None

    def mount(self, app: FastAPI) -> None:
        """See `ServingSystem.mount`."""
        for router in self.routers:
            app.include_router(router)

    def keep(self, background: Background) -> None:
        """See `ServingSystem.keep`."""
        self.models.keep(background, self.settings.champion_poll_s)
        metrics.ITEMS_AGE.labels(self.name).set_function(self.table.age_s)
        background.every(REFRESH_S, f"items of {self.name}", self.refresh)
        for name, model in self.further.items():
            background.every(self.settings.champion_poll_s, f"{name} of {self.name}", model.refresh)

    async def refresh(self) -> None:
        """Read all items once, beside the requests.

        Raises: as `ItemTable.refresh`.
        """
        items = await asyncio.to_thread(self.table.refresh, self.digest)
        for held in items.held:
            metrics.ITEMS_HELD.labels(self.name, held.own.entity.name).set(len(held))

    def dependencies(self) -> dict[str, Dependency]:
        """See `ServingSystem.dependencies`."""
        age_s = self.table.age_s()
        problem = None if age_s <= OLD_S else f"they were last read {age_s:.0f} s ago"
        if self.table.items is None:
            problem = "none was read yet"
        further = {
            name: Dependency(version=each.current.version if each.current else None, problem=each.problem)
            for name, each in self.further.items()
        }
        return {**self.models.dependencies(), "items": Dependency(problem=problem), **further}

    def reload(self) -> dict[str, bool]:
        """See `ServingSystem.reload`."""
        return {"experiment": self.models.routing.reload()}

    def recall(self, topic: str, value: bytes) -> None:
        """See `ServingSystem.recall`: a list that an earlier process has made is made anew where it is asked for."""

    async def close(self) -> None:
        """See `ServingSystem.close`."""
        self.stages.close()
        await self.features.close()

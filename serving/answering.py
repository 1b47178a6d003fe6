"""A system that answers events of one kind: its routes, and what has to be kept current for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, NamedTuple, Protocol

from fastapi import APIRouter, FastAPI

from lamina.contracts.served import Served
from lamina.reviews.cases import Reviewing
from lamina.settings import Settings
from serving.checks import Checks
from serving.middleware.direct import DirectRoute
from serving.routes.health import Dependency
from serving.served_models import FILES_CHECK_S, Models
from serving.stages.case import Case, J
from serving.stages.features import FeatureStage
from serving.stages.kind import E, RequestKind
from serving.stages.pipeline import Pipeline
from serving.stages.repeats import Repeats
from serving.supervision import Background


class KeptFile(Protocol):
    """A file that is read again when it changes."""

    @property
    def version(self) -> str:
        """Of what is in force."""

    @property
    def problem(self) -> str | None:
        """Why what was found last is not in force, or None."""

    def reload(self) -> bool:
        """Look now: whether something new came into force."""


class Direct(NamedTuple):
    """A path whose plain requests go past the framework, and the body of an answer there."""

    path: str
    body: Callable[[Served], bytes]


@dataclass(frozen=True)
class Answering(Generic[E, J]):
    """Answers the requests of a system by one pipeline; implements `ServingSystem`. `files` are by what they hold.

    reviewing: how its answers are reviewed; None where none waits for a person.
    """

    settings: Settings
    kind: RequestKind[E]
    features: FeatureStage
    models: Models
    repeats: Repeats[E]
    pipeline: Pipeline[E, J]
    checks: Checks
    routers: Sequence[APIRouter] = ()
    direct: Sequence[Direct] = ()
    files: Mapping[str, KeptFile] = field(default_factory=dict)
    reviewing: Reviewing | None = None

    @property
    def name(self) -> str:
        """See `ServingSystem.name`."""
        return self.kind.system

    def mount(self, app: FastAPI) -> None:
        """See `ServingSystem.mount`."""
        for router in self.routers:
            app.include_router(router)
        for path, body in self.direct:
            app.add_middleware(
                DirectRoute, path=path, contract=self.kind.contract, checks=self.checks, answer=self._answers(body)
            )

    def _answers(self, body: Callable[[Served], bytes]) -> Callable[[E, str, int], Awaitable[bytes]]:
        async def answer(event: E, request_id: str, started_ns: int) -> bytes:
            return body(await self.pipeline.answer(Case(event, request_id, started_ns)))

        return answer

    def keep(self, background: Background) -> None:
        """See `ServingSystem.keep`."""
        self.models.keep(background, self.settings.champion_poll_s)
        for name, file in self.files.items():
            background.every(FILES_CHECK_S, f"{name} file of {self.name}", partial(asyncio.to_thread, file.reload))

    def dependencies(self) -> dict[str, Dependency]:
        """See `ServingSystem.dependencies`."""
        files = {name: Dependency(version=each.version, problem=each.problem) for name, each in self.files.items()}
        return {**self.models.dependencies(), **files}

    def reload(self) -> dict[str, bool]:
        """See `ServingSystem.reload`."""
        files = {name: file.reload() for name, file in self.files.items()}
        return {**files, "experiment": self.models.routing.reload()}

    def recall(self, topic: str, value: bytes) -> None:
        """See `ServingSystem.recall`."""
        self.repeats.recall(topic, value)

    async def close(self) -> None:
        """See `ServingSystem.close`."""
        await asyncio.gather(self.features.close(), self.repeats.close())

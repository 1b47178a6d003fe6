"""Whether the process lives, whether it can do its work, and its metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field


class Dependency(BaseModel):
    """One thing the service needs: `problem` is None when it is well."""

    version: str | None = None
    problem: str | None = None


Status = Literal["ready", "degraded", "starting", "refusing", "stopping"]
UNREADY: tuple[Status, ...] = ("starting", "refusing", "stopping")


class Readiness(BaseModel):
    """`ready`: all is well. `degraded`: answers, partly by fallbacks.

    With status 503, send nothing: `starting`, not yet; `refusing`, what is answered cannot be written down; `stopping`,
    never again.
    """

    status: Status
    dependencies: dict[str, Dependency] = Field(
        description="By name: redis, kafka, journal, model, rules, experiment, features, background."
    )


def health_router(readiness: Callable[[], Awaitable[Readiness]]) -> APIRouter:
    """The routes that operators and their tools ask."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live", summary="Whether the process answers")
    async def live() -> dict[str, str]:
        """Always `alive`."""
        return {"status": "alive"}

    @router.get(
        "/health/ready",
        summary="Whether to send requests",
        response_model=Readiness,
        responses={503: {"model": Readiness}},
    )
    async def ready() -> Response:
        """Whether to send requests, and how each dependency does. A lost dependency degrades, it does not unready."""
        found = await readiness()
        status = 503 if found.status in UNREADY else 200
        return Response(found.model_dump_json(), status, media_type="application/json")

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router

"""What is in force, for operators: experiments, models. Apart from the rest, with a right of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from lamina.errors import ContractError
from serving.platform import ServingSystem
from serving.stages.model_repository import ModelRepository

System = Annotated[str | None, Query(description="Name of a system; may be left out where there is only one.")]


def admin_router(systems: Mapping[str, ServingSystem], repository: ModelRepository) -> APIRouter:
    """The routes under `/admin` that are not one system's own."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    @router.get("/experiment", summary="The experiment in force")
    async def experiment_now(system: System = None) -> dict[str, Any]:
        """The file as it is in force, the version of each arm, and the arms that are off with the reason."""
        routing = _one(systems, system).models.routing
        running = routing.running
        return {
            "version": routing.book.version,
            "problem": routing.problems,
            "experiment": None if running is None else running.experiment.model_dump(mode="json"),
            "off": {} if running is None else dict(running.off),
        }

    @router.get("/models", summary="The models in service")
    async def models_now() -> list[dict[str, Any]]:
        """Of each system the champion and every other model that an arm uses; then those that were asked by name."""
        models = [each.models for each in systems.values()]
        own = [model for each in models for model in (each.champion, *each.routing.challengers)]
        return [
            {
                "name": each.name,
                "wanted": each.wanted,
                "version": each.current.version if each.current else None,
                "problem": each.problem,
            }
            for each in (*own, *repository.models)
        ]

    @router.post("/reload", summary="Look at the files now")
    def reload() -> dict[str, bool]:
        """Whether rules and experiments changed; a file that is wrong stays out, as it always does."""
        found: dict[str, bool] = {}
        for system in systems.values():
            for name, changed in system.reload().items():
                found[name] = found.get(name, False) or changed
        return found

    return router


def _one(systems: Mapping[str, ServingSystem], name: str | None) -> ServingSystem:
    if name is None and len(systems) == 1:
        return next(iter(systems.values()))
    if name is None or name not in systems:
        raise ContractError("request", "system", f"is one of {', '.join(systems)}")
    return systems[name]

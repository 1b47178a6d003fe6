"""What is in force, for operators: rules, experiment, models. Apart from the rest, with a right of its own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from serving.stages.routing import Routing
from serving.stages.shelf import ModelShelf
from serving.systems.fraud.rule_engine import RuleEngine


def admin_router(rules: RuleEngine, routing: Routing, shelf: ModelShelf) -> APIRouter:
    """The routes under `/admin`."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    @router.get("/rules", summary="The rules in force")
    async def rules_now() -> dict[str, Any]:
        """Version, codes, and what is wrong with the file; never the entries of lists, nor salts."""
        book = rules.book
        found = [{"code": rule.code, "kind": rule.kind, "action": rule.action} for rule in book.rules]
        return {
            "version": book.version,
            "problem": rules.problem,
            "rules": found,
            "policy": book.policy,
            "costs": None if book.costs is None else book.costs.model_dump(),
            "pass_through": book.pass_through.model_dump(exclude={"salt"}),
        }

    @router.get("/experiment", summary="The experiment in force")
    async def experiment_now() -> dict[str, Any]:
        """The file as it is in force, the version of each arm, and the arms that are off with the reason."""
        trial = routing.trial
        return {
            "version": routing.book.version,
            "problem": routing.problems,
            "experiment": None if trial is None else trial.experiment.model_dump(mode="json"),
            "off": {} if trial is None else dict(trial.off),
        }

    @router.get("/models", summary="The models in service")
    async def models_now() -> list[dict[str, Any]]:
        """The champion, then every other model that an arm uses, then those that predictions were asked of."""
        return [
            {
                "name": each.name,
                "wanted": each.wanted,
                "version": each.current.version if each.current else None,
                "problem": each.problem,
            }
            for each in (routing.champion, *routing.challengers, *shelf.models)
        ]

    @router.post("/reload", summary="Look at the files now")
    def reload() -> dict[str, bool]:
        """Whether the rules and the experiment changed; a file that is wrong stays out, as it always does."""
        return {"rules": rules.reload(), "experiment": routing.reload()}

    return router

"""The rules in force, for operators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from serving.systems.fraud.rule_engine import RuleEngine


def rules_router(rules: RuleEngine) -> APIRouter:
    """The route under `/admin` that is about rules."""
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

    return router

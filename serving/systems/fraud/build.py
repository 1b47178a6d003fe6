"""The one place where the parts that decide on transactions are put together. Nothing here opens a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import FastAPI

from lamina.contracts.base import json_of
from lamina.contracts.fraud_decisions import answer_of, read_answer
from lamina.contracts.transactions import Transaction
from lamina.definitions.fraud import FEATURES
from lamina.settings import Settings
from models.fraud import score
from serving.checks import Checks
from serving.middleware.direct import DirectRoute
from serving.platform import FILES_CHECK_S, Models, Platform
from serving.routes.health import Dependency
from serving.stages.features import FeatureStage
from serving.stages.inquiry import Inquiry
from serving.stages.log import EventLog
from serving.stages.repeats import KeptForm, Repeats
from serving.stages.shared_answers import RedisAnswers
from serving.supervision import Background
from serving.systems.fraud.admin import rules_router
from serving.systems.fraud.decide import DecisionMaker
from serving.systems.fraud.risk import loading_for, misfit
from serving.systems.fraud.routes import DECISIONS, fraud_router, shown
from serving.systems.fraud.rule_engine import RuleEngine

LEASE_MS = 1000
"""On top of a decision's own time: a busy machine's pauses are no deaths."""

KEPT = KeptForm(write=lambda served: answer_of(served).to_json(), read=read_answer)
"""Answers are kept as they were given: processes of the version before, which a roll-out has beside new ones, read no
envelopes.
"""


@dataclass(frozen=True)
class FraudSystem:
    """Everything that decides on transactions; implements `ServingSystem`."""

    settings: Settings
    features: FeatureStage
    models: Models
    rules: RuleEngine
    repeats: Repeats
    decisions: DecisionMaker
    events: EventLog
    checks: Checks
    name: str = FEATURES.system

    def mount(self, app: FastAPI) -> None:
        """See `ServingSystem.mount`."""
        app.include_router(fraud_router(self.decisions, self.events, self.checks))
        app.include_router(rules_router(self.rules))

        async def decide(transaction: Transaction, request_id: str, started_ns: int) -> bytes:
            inquiry = Inquiry(transaction, request_id, started_ns)
            return json_of(shown(await self.decisions.decide(inquiry, explain=False)))

        app.add_middleware(DirectRoute, path=DECISIONS, contract=Transaction, checks=self.checks, answer=decide)

    def keep(self, background: Background) -> None:
        """See `ServingSystem.keep`."""
        self.models.keep(background, self.settings.champion_poll_s)
        background.every(FILES_CHECK_S, "rules file", lambda: asyncio.to_thread(self.rules.reload))

    def dependencies(self) -> dict[str, Dependency]:
        """See `ServingSystem.dependencies`."""
        rules = Dependency(version=self.rules.book.version, problem=self.rules.problem)
        return {**self.models.dependencies(), "rules": rules}

    def reload(self) -> dict[str, bool]:
        """See `ServingSystem.reload`."""
        return {"rules": self.rules.reload(), "experiment": self.models.routing.reload()}

    def recall(self, topic: str, value: bytes) -> None:
        """See `ServingSystem.recall`."""
        self.repeats.recall(topic, value)

    async def close(self) -> None:
        """See `ServingSystem.close`."""
        await asyncio.gather(self.features.close(), self.repeats.close())


def build(platform: Platform) -> FraudSystem:
    """The system, from what the platform has.

    Raises: RulesError, ExperimentError: when the rules file or the experiment file cannot be right.
    """
    settings = platform.settings
    rules = RuleEngine(settings.rules_file)
    features = platform.features(FEATURES)
    usable = loading_for(lambda: rules.book, score.load)
    models = platform.models(FEATURES.system, usable, Transaction, settings.experiment_file)
    rules.misfit = lambda book: misfit(book, (models.champion, *models.routing.challengers))
    rules.taken = models.retry
    # Who brings a store of their own has no Redis to share answers by.
    shared = _shared_answers(settings) if platform.own_store is None else None
    repeats = Repeats(shared, window_s=settings.repeat_window_s, form=KEPT)
    decisions = DecisionMaker(
        rules,
        features,
        models.routing,
        models.shadows,
        platform.events,
        repeats,
        deadline_ms=settings.decision_deadline_ms,
        patience_ms=2 * _lease_ms(settings),
        clock=platform.clock,
    )
    return FraudSystem(
        settings,
        features,
        models,
        rules,
        repeats,
        decisions,
        platform.events,
        platform.checks,
    )


def _lease_ms(settings: Settings) -> int:
    """How long a process may take for a decision before another, which it came to as well, takes it for dead."""
    return LEASE_MS + 2 * settings.decision_deadline_ms


def _shared_answers(settings: Settings) -> RedisAnswers:
    return RedisAnswers(
        settings.redis_url.get_secret_value(),
        timeout_ms=settings.redis_timeout_ms,
        window_s=settings.repeat_window_s,
        lease_ms=_lease_ms(settings),
        entries=settings.repeat_entries,
    )

"""The one place where the parts of the service are put together. Nothing here opens a connection before `run`."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI

from lamina.clock import Clock, system_clock
from lamina.definitions.fraud import FEATURES
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import ModelRegistry
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.reader import Reader
from lamina.store.redis_reader import AsyncRedisReader
from models.fraud import score
from serving.middleware import errors
from serving.middleware.requests import BodyLimit, RequestContext
from serving.routes.fraud import fraud_router
from serving.routes.health import Dependency, Readiness, health_router
from serving.stages.decide import DecisionMaker
from serving.stages.features import FeatureStage
from serving.stages.journal import Journal
from serving.stages.log import EventLog
from serving.stages.model import Champion
from serving.stages.rules import RuleEngine

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
RULES_CHECK_S = 1.0


@dataclass(frozen=True)
class Service:
    """Everything that serves fraud decisions."""

    settings: Settings
    rules: RuleEngine
    features: FeatureStage
    champion: Champion
    events: EventLog
    decisions: DecisionMaker

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Open what is needed, keep rules and champion current, and at the end deliver what is queued."""
        self.events.start()
        tasks = [
            asyncio.create_task(self.champion.keep_current(self.settings.champion_poll_s)),
            asyncio.create_task(self._keep_rules()),
        ]
        # All that was imported stays: without this the collector stops requests to look at it again and again.
        gc.freeze()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(self.events.stop)
            await self.features.close()

    async def readiness(self) -> Readiness:
        """How each dependency does now."""
        model = self.champion.current
        found = {
            "redis": Dependency(problem=await self.features.check()),
            "kafka": Dependency(problem=self.events.problem),
            "model": Dependency(version=model.version if model else None, problem=self.champion.problem),
            "rules": Dependency(version=self.rules.book.version, problem=self.rules.problem),
        }
        if not self.champion.checked:
            return Readiness(status="starting", dependencies=found)
        well = all(dependency.problem is None for dependency in found.values())
        return Readiness(status="ready" if well else "degraded", dependencies=found)

    async def _keep_rules(self) -> None:
        while True:
            await asyncio.sleep(RULES_CHECK_S)
            await asyncio.to_thread(self.rules.reload)


def make_service(settings: Settings, *, registry: ModelRegistry | None = None, clock: Clock = system_clock) -> Service:
    """The service's parts, connected by `settings`; `registry` defaults to MLflow's.

    Raises: RulesError: when the rules file cannot be right.
    """
    system = FEATURES.system
    rules = RuleEngine(settings.rules_file)
    store = AsyncRedisReader(settings.redis_url.get_secret_value(), timeout_ms=settings.redis_timeout_ms)
    features = FeatureStage(store, Reader(make_plan(FEATURES)), timeout_ms=settings.redis_timeout_ms)
    source = registry or MlflowRegistry(settings.mlflow_uri)
    champion = Champion(system, source, score.load, settings.stack_dir / "models" / system)
    events = EventLog(settings.kafka_bootstrap, settings.topic_prefix, Journal(settings.stack_dir / "journal"))
    decisions = DecisionMaker(rules, features, champion, events, deadline_ms=settings.decision_deadline_ms, clock=clock)
    return Service(settings, rules, features, champion, events, decisions)


def make_app(service: Service, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> FastAPI:
    """The HTTP application around `service`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.run():
            yield

    app = FastAPI(
        title="lamina", version=version("lamina"), summary="Decisions on card transactions", lifespan=lifespan
    )
    app.include_router(fraud_router(service.decisions, service.events))
    app.include_router(health_router(service.readiness))
    errors.install(app)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(RequestContext, new_id=new_id)
    return app

"""The one place where the parts of the service are put together. Nothing here opens a connection before `run`."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from lamina import definitions
from lamina.clock import Clock, system_clock
from lamina.contracts.base import json_of
from lamina.definitions.fraud import FEATURES
from lamina.errors import LaminaError
from lamina.monitoring import metrics
from lamina.registry.gate import latest_parity
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import ModelRegistry
from lamina.scoring.load import load
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.reader import Reader
from lamina.store.redis_reader import AsyncRedisReader
from models.fraud import score
from serving.card_numbers import CardNumbers
from serving.currency import OneCurrency
from serving.middleware import errors
from serving.middleware.access import check_routes
from serving.middleware.admission import Admission
from serving.middleware.bodies import Bodies
from serving.middleware.keys import KeyCheck, LocalAdmin, load_keys
from serving.middleware.requests import Leaving, RequestContext
from serving.routes.admin import admin_router
from serving.routes.health import Dependency, Readiness, Status, health_router
from serving.routes.home import home_router
from serving.routes.predict import predict_router
from serving.stages.cache import PredictionCache
from serving.stages.features import AsyncStore, FeatureStage
from serving.stages.inquiry import Inquiry
from serving.stages.journal import Journal
from serving.stages.log import EventLog
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import ServedModel
from serving.stages.predict import Predictor
from serving.stages.repeats import Repeats
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.stages.shared_answers import RedisAnswers
from serving.stages.shared_scores import RedisScores
from serving.stages.shelf import ModelShelf
from serving.supervision import Background, take_down
from serving.systems.fraud.decide import DecisionMaker
from serving.systems.fraud.direct import DirectRoute
from serving.systems.fraud.risk import loading_for, misfit
from serving.systems.fraud.routes import DECISIONS, fraud_router, shown
from serving.systems.fraud.rule_engine import RuleEngine

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
ARRIVING_BYTES = 64 * 2**20
"""Of bodies that are under way, together."""
FILES_CHECK_S = 1.0
PARITY_CHECK_S = 60.0
BACKGROUND_S = 1.0
COLLECTED_AFTER = (10_000, 20, 50)
"""Objects, and collections of younger ones, until Python looks for cycles among the young, the middle-aged, the old."""
CLOSE_S = 0.5
"""Longest waits at the end, in seconds; what they add up to is in `STOP_REST_S` of the settings."""
LEASE_MS = 1000
"""On top of a decision's own time: a busy machine's pauses are no deaths."""


@dataclass(frozen=True)
class Predictions:
    """Everything that answers for registered models; `shared` is the cache's tier in Redis."""

    shelf: ModelShelf
    predictor: Predictor
    batcher: MicroBatcher
    store: AsyncStore
    shared: RedisScores | None

    async def close(self) -> None:
        """Let what was begun end."""
        steps = [
            ("scoring", CLOSE_S, lambda: asyncio.to_thread(self.batcher.close)),
            ("predictions' store", CLOSE_S, self.store.close),
        ]
        if self.shared is not None:
            steps.append(("shared scores", CLOSE_S, self.shared.close))
        await take_down(steps)


@dataclass(frozen=True)
class Service:
    """Everything that serves fraud decisions and the predictions of other models."""

    settings: Settings
    rules: RuleEngine
    features: FeatureStage
    champion: ServedModel
    routing: Routing
    shadows: ShadowScorer
    events: EventLog
    repeats: Repeats
    decisions: DecisionMaker
    predictions: Predictions
    background: Background = field(default_factory=Background)
    leaving: Leaving = field(default_factory=Leaving)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Open what is needed, keep models, rules and experiment current, and at the end deliver what is queued."""
        self.events.start(self.repeats.recall)
        self._keep_all()
        # All that was imported stays: without this the collector stops requests to look at it again and again. Nor is
        # it to look at the recorded answers, thousands that live for minutes, every few seconds.
        gc.freeze()
        gc.set_threshold(*COLLECTED_AFTER)
        try:
            yield
        finally:
            self.leaving.begin()
            events_s = self.settings.api_stop_events_s
            await take_down(
                [
                    ("the background", BACKGROUND_S + 1, lambda: self.background.stop(BACKGROUND_S)),
                    # Its thread keeps to the time by itself.
                    ("the event log", events_s + 1, lambda: asyncio.to_thread(self.events.stop, events_s)),
                    ("predictions", 3 * CLOSE_S, self.predictions.close),
                    ("features and answers", CLOSE_S, self._close_stores),
                ]
            )

    async def _close_stores(self) -> None:
        await asyncio.gather(self.features.close(), self.repeats.close())

    def _keep_all(self) -> None:
        keep, poll_s = self.background, self.settings.champion_poll_s
        keep.every(poll_s, "champion", self.champion.refresh)
        keep.every(poll_s, "challengers", self._refresh_challengers)
        keep.every(poll_s, "other models", self.predictions.shelf.refresh)
        keep.every(FILES_CHECK_S, "rules file", lambda: asyncio.to_thread(self.rules.reload))
        keep.every(FILES_CHECK_S, "experiment file", self._refresh_experiment)
        keep.every(PARITY_CHECK_S, "parity", lambda: asyncio.to_thread(self.read_parity))
        keep.keep("shadow scores", self.shadows.run)
        keep.start()

    async def readiness(self) -> Readiness:
        """How each dependency does now."""
        model = self.champion.current
        found = {
            "redis": Dependency(problem=await self.features.check()),
            "kafka": Dependency(problem=self.events.problem),
            "journal": Dependency(problem=self.events.refusing),
            "model": Dependency(version=model.version if model else None, problem=self.champion.problem),
            "rules": Dependency(version=self.rules.book.version, problem=self.rules.problem),
            "experiment": Dependency(version=self.routing.book.version, problem=self.routing.problems),
            "background": Dependency(problem=self.background.problems),
        }
        well = all(dependency.problem is None for dependency in found.values())
        status: Status = "ready" if well else "degraded"
        if self.leaving:
            status = "stopping"
        elif not self.champion.checked:
            status = "starting"
        elif self.events.refusing:
            status = "refusing"
        return Readiness(status=status, dependencies=found)

    async def _refresh_experiment(self) -> None:
        await asyncio.to_thread(self.routing.reload)
        self.routing.judge()

    async def _refresh_challengers(self) -> None:
        for model in self.routing.challengers:
            await model.refresh()

    def read_parity(self) -> None:
        """Set the gauge to what the newest parity report says; without one that can be read it keeps its value."""
        try:
            parity = latest_parity(self.settings.lake_url, FEATURES.system)
        except (LaminaError, OSError, ValueError) as error:
            log.warning("the newest parity report cannot be read: %s", error)
            return
        if parity is not None:
            metrics.PARITY_MISMATCHES.labels(FEATURES.system).set(parity.mismatches)


def make_service(
    settings: Settings,
    *,
    registry: ModelRegistry | None = None,
    store: AsyncStore | None = None,
    clock: Clock = system_clock,
) -> Service:
    """The service's parts, connected by `settings`; `registry` defaults to MLflow's, `store` to Redis.

    Raises: RulesError, ExperimentError: when the rules file or the experiment file cannot be right.
    """
    system = FEATURES.system
    rules = RuleEngine(settings.rules_file)
    redis_url = settings.redis_url.get_secret_value()
    features = FeatureStage(
        store or AsyncRedisReader(redis_url, timeout_ms=settings.redis_timeout_ms),
        Reader(make_plan(FEATURES)),
        timeout_ms=settings.redis_timeout_ms,
    )
    source = registry or MlflowRegistry(settings.mlflow_uri)
    models = settings.stack_dir / "models"
    usable = loading_for(lambda: rules.book, score.load)
    champion = ServedModel(system, source, usable, models / system)
    routing = Routing(
        champion,
        lambda wanted: ServedModel(system, source, usable, models / f"{system}@{wanted}", wanted),
        settings.experiment_file,
    )
    rules.misfit = lambda book: misfit(book, (champion, *routing.challengers))
    rules.taken = partial(_retry, champion, routing)
    journal = Journal(
        settings.stack_dir / "journal", max_bytes=settings.journal_max_bytes, max_age_s=settings.journal_max_age_s
    )
    events = EventLog(settings.kafka_bootstrap, settings.topic_prefix, journal, clock)
    shadows = ShadowScorer(events, clock=clock)
    deadline_ms = settings.decision_deadline_ms
    # Who brings a store of their own has no Redis to share answers by.
    repeats = Repeats(_shared_answers(settings) if store is None else None, window_s=settings.repeat_window_s)
    decisions = DecisionMaker(
        rules,
        features,
        routing,
        shadows,
        events,
        repeats,
        deadline_ms=deadline_ms,
        patience_ms=2 * _lease_ms(settings),
        clock=clock,
    )
    # A way to Redis of their own: what is patient, or reads much, must not keep decisions from reading.
    patient = store or AsyncRedisReader(redis_url, timeout_ms=settings.predict_timeout_ms)
    predictions = _predictions(settings, source, champion, patient, clock)
    return Service(settings, rules, features, champion, routing, shadows, events, repeats, decisions, predictions)


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


def _retry(champion: ServedModel, routing: Routing) -> None:
    """Look again at models that were refused: what they were refused for may have changed."""
    for model in (champion, *routing.challengers):
        model.retry()


def _predictions(
    settings: Settings, registry: ModelRegistry, champion: ServedModel, store: AsyncStore, clock: Clock
) -> Predictions:
    models = settings.stack_dir / "models"
    shelf = ModelShelf(
        registry,
        lambda name: ServedModel(name, registry, load, models / name),
        {champion.name: champion},
        every_s=settings.champion_poll_s,
    )
    shared = None
    if settings.predict_cache_ttl_s:
        shared = RedisScores(
            settings.redis_url.get_secret_value(),
            timeout_ms=settings.redis_timeout_ms,
            ttl_s=settings.predict_cache_ttl_s,
            entries=settings.predict_cache_redis_entries,
            rng=random.Random(),
        )
    batcher = MicroBatcher(
        most_rows=settings.predict_batch_rows,
        wait_ms=settings.predict_batch_wait_ms,
        queue_rows=settings.predict_queue_rows,
    )

    def stage(system: str) -> FeatureStage:
        return FeatureStage(store, Reader(make_plan(definitions.load(system))), timeout_ms=settings.predict_timeout_ms)

    cache = PredictionCache(shared, entries=settings.predict_cache_entries)
    predictor = Predictor(
        shelf,
        stage,
        cache,
        batcher,
        default_model=settings.predict_model,
        deadline_ms=settings.predict_deadline_ms,
        clock=clock,
    )
    return Predictions(shelf, predictor, batcher, store, shared)


def make_app(service: Service, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> FastAPI:
    """The HTTP application around `service`.

    Raises: KeysError: when the file of API keys cannot be right; AccessError: a route says not who may ask for it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.run():
            yield

    app = FastAPI(
        title="lamina",
        version=version("lamina"),
        summary="Decisions on card transactions, predictions of registered models",
        lifespan=lifespan,
        # Ours, from this machine: the framework's own load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    card_numbers = CardNumbers(service.settings.refuse_card_numbers_in)
    currency = OneCurrency(service.settings.currency)
    app.include_router(fraud_router(service.decisions, service.events, card_numbers, currency))
    app.include_router(predict_router(service.predictions.predictor, card_numbers, currency))
    app.include_router(health_router(service.readiness))
    app.include_router(home_router(app.title, app.version))
    app.include_router(admin_router(service.rules, service.routing, service.predictions.shelf))
    check_routes(app.routes)
    errors.install(app)

    async def decide(inquiry: Inquiry) -> bytes:
        return json_of(shown(await service.decisions.decide(inquiry, explain=False)))

    app.add_middleware(DirectRoute, path=DECISIONS, decide=decide, card_numbers=card_numbers, currency=currency)
    settings = service.settings
    app.add_middleware(Admission, max_in_flight=settings.api_max_in_flight)
    app.add_middleware(
        Bodies, max_bytes=MAX_BODY_BYTES, timeout_s=settings.api_arrival_timeout_s, arriving_bytes=ARRIVING_BYTES
    )
    if settings.api_keys_file is None:
        app.add_middleware(LocalAdmin, open_metrics=settings.metrics_are_open)
    else:
        app.add_middleware(KeyCheck, keys=load_keys(settings.api_keys_file), open_metrics=settings.metrics_are_open)
    app.add_middleware(RequestContext, new_id=new_id, leaving=service.leaving)
    return app

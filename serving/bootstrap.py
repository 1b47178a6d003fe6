"""The one place where the parts of the service are put together. Nothing here opens a connection before `run`."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from lamina import definitions
from lamina.clock import Clock, system_clock
from lamina.contracts.problems import Problem
from lamina.errors import LaminaError
from lamina.monitoring import metrics
from lamina.monitoring.exported import Exported
from lamina.monitoring.label_joins import export_joins
from lamina.monitoring.tracing import API, tracer_provider
from lamina.registry.gate import latest_parity
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import ModelRegistry
from lamina.settings import Settings
from lamina.store.redis_reader import AsyncRedisReader
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.console.making import make_console, make_processes
from serving.console.processes import EVERY_S, Processes
from serving.currency import OneCurrency
from serving.middleware import errors
from serving.middleware.access import OWN_DOOR, check_routes
from serving.middleware.admission import Admission
from serving.middleware.bodies import Bodies
from serving.middleware.keys import KeyCheck, LocalAdmin, load_keys
from serving.middleware.requests import Leaving, RequestContext
from serving.platform import Platform, ServingSystem
from serving.predicting import CLOSE_S, Predictions, make_predictions
from serving.reviews import Reviews, make_reviews
from serving.routes.admin import admin_router
from serving.routes.feedback import feedback_router
from serving.routes.health import Dependency, Readiness, Status, health_router
from serving.routes.home import home_router
from serving.routes.predict import predict_router
from serving.stages.changeover import Changeovers
from serving.stages.features import AsyncStore
from serving.stages.journal import Journal
from serving.stages.log import EventLog
from serving.supervision import Background, take_down
from serving.systems import build_all
from serving.taken_feedback import FeedbackReader

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

SUMMARY = "Answers of each system, and predictions of registered models"
MAX_BODY_BYTES = 256 * 1024
ARRIVING_BYTES = 64 * 2**20
"""Of bodies that are under way, together."""
PARITY_CHECK_S = 60.0
LOOK_S, FIRST_LOOK_S = 2.0, 5.0
"""Between two looks at which features are live, and the longest wait for the first."""
BACKGROUND_S = 1.0
COLLECTED_AFTER = (10_000, 20, 50)
"""Objects, and collections of younger ones, until Python looks for cycles among the young, the middle-aged, the old."""


@dataclass(frozen=True)
class Service:
    """Everything that serves: the systems, and the predictions of any model."""

    settings: Settings
    events: EventLog
    systems: Mapping[str, ServingSystem]
    predictions: Predictions
    checks: Checks
    changeovers: Changeovers
    feedback: FeedbackReader
    watched: Exported
    reviews: Reviews
    registry: ModelRegistry
    processes: Processes
    traces: TracerProvider | None = None
    background: Background = field(default_factory=Background)
    leaving: Leaving = field(default_factory=Leaving)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Open what is needed, keep models and files current, and at the end deliver what is queued."""
        await self._look()
        self.events.start(self._recall)
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
                    ("the systems", CLOSE_S, self._close_systems),
                    *([("traces", CLOSE_S, partial(asyncio.to_thread, self.traces.shutdown))] if self.traces else []),
                ]
            )
            # What is never collected is not let go of in order when the process ends, of which libraries complain.
            gc.unfreeze()

    def _recall(self, topic: str, value: bytes) -> None:
        for system in self.systems.values():
            system.recall(topic, value)

    async def _close_systems(self) -> None:
        await asyncio.gather(
            self.reviews.close(), self.processes.close(), *(system.close() for system in self.systems.values())
        )

    async def _look(self) -> None:
        """Before the first request: else it would be answered from features that nobody may have filled yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await asyncio.to_thread(self.changeovers.look)

    def _keep_all(self) -> None:
        for system in self.systems.values():
            system.keep(self.background)
        self.background.every(self.settings.champion_poll_s, "other models", self.predictions.repository.refresh)
        self.background.every(LOOK_S, "features", lambda: asyncio.to_thread(self.changeovers.look))
        self.background.every(PARITY_CHECK_S, "parity", lambda: asyncio.to_thread(self.read_parity))
        self.background.every(PARITY_CHECK_S, "monitoring", lambda: asyncio.to_thread(self.read_monitoring))
        self.reviews.keep(self.background)
        self.background.every(EVERY_S, "processes", lambda: self.processes.tell(self.readiness))
        joins = partial(export_joins, self.settings.lake_url, tuple(self.systems))
        self.background.every(PARITY_CHECK_S, "label joins", lambda: asyncio.to_thread(joins))
        self.background.start()

    async def readiness(self) -> Readiness:
        """How each dependency does now."""
        systems = self.systems.values()
        stores = await asyncio.gather(*(system.features.check() for system in systems))
        found = {
            "redis": Dependency(problem=next(filter(None, stores), None)),
            "kafka": Dependency(problem=self.events.problem),
            "journal": Dependency(problem=self.events.refusing),
            "background": Dependency(problem=self.background.problems),
        }
        for system in systems:
            found |= {f"{name} of {system.name}": each for name, each in system.dependencies().items()}
            read = self.changeovers.named(system.name)
            found[f"features of {system.name}"] = Dependency(version=read.version, problem=read.problem)
        well = all(dependency.problem is None for dependency in found.values())
        status: Status = "ready" if well else "degraded"
        if self.leaving:
            status = "stopping"
        elif not all(system.models.champion.checked for system in systems):
            status = "starting"
        elif self.events.refusing:
            status = "refusing"
        return Readiness(status=status, dependencies=found)

    def read_parity(self) -> None:
        """Set the gauges to what the newest parity reports say; one of which none can be read keeps its value."""
        for name in self.systems:
            try:
                parity = latest_parity(self.settings.lake_url, name)
            except (LaminaError, OSError, ValueError) as error:
                log.warning("the newest parity report of %s cannot be read: %s", name, error)
                continue
            if parity is not None:
                metrics.PARITY_MISMATCHES.labels(name).set(parity.mismatches)

    def read_monitoring(self) -> None:
        """Set the gauges to what the newest reports of monitoring say; those of a system of which one cannot be read
        keep their values.
        """
        for name in self.systems:
            try:
                self.watched.show(name)
            except (LaminaError, OSError, ValueError) as error:
                log.warning("the newest reports of %s cannot be read: %s", name, error)


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
    source = registry or MlflowRegistry(settings.mlflow_uri)
    journal = Journal(
        settings.stack_dir / "journal", max_bytes=settings.journal_max_bytes, max_age_s=settings.journal_max_age_s
    )
    metrics.JOURNAL_MAX_BYTES.set(settings.journal_max_bytes)
    metrics.JOURNAL_MAX_AGE.set(settings.journal_max_age_s)
    events = EventLog(settings.kafka_bootstrap, settings.topic_prefix, journal, clock)
    checks = Checks(CardNumbers(settings.refuse_card_numbers_in), OneCurrency(settings.currency))
    changeovers = Changeovers(settings.lake_url)
    systems = build_all(Platform(settings, source, store, events, checks, clock, changeovers))
    metrics.begin(systems)
    champions = {each.models.champion.name: each.models.champion for each in systems.values()}
    # A way to Redis of their own: what is patient, or reads much, must not keep decisions from reading.
    patient = store or AsyncRedisReader(settings.redis_url.get_secret_value(), timeout_ms=settings.predict_timeout_ms)
    predictions = make_predictions(settings, source, champions, patient, clock, changeovers)
    feedback = FeedbackReader({name: definitions.record(name) for name in systems}, checks, clock)
    watched = Exported(settings.lake_url)
    reviews = make_reviews(settings, {name: each.reviewing for name, each in systems.items()}, events, clock)
    processes = make_processes(settings, reviews, clock, alone=store is not None)
    traces = tracer_provider(settings, API)
    return Service(
        settings,
        events,
        systems,
        predictions,
        checks,
        changeovers,
        feedback,
        watched,
        reviews,
        source,
        processes,
        traces,
    )


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
        summary=SUMMARY,
        lifespan=lifespan,
        # Ours, from this machine: the framework's own load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": name, "description": definitions.about(name)} for name in service.systems],
        responses={"default": {"model": Problem, "description": "What went wrong"}},
    )
    for system in service.systems.values():
        system.mount(app)
    app.include_router(predict_router(service.predictions.predictor, service.checks))
    app.include_router(feedback_router(service.feedback, service.events))
    app.include_router(health_router(service.readiness))
    app.include_router(home_router(app.title, app.version, SUMMARY, app.routes))
    app.include_router(admin_router(service.systems, service.predictions.repository))
    settings = service.settings
    keys = None if settings.api_keys_file is None else load_keys(settings.api_keys_file)
    console = make_console(
        settings, keys, tuple(service.systems), service.registry, service.reviews, service.readiness, service.processes
    )
    app.mount(OWN_DOOR, console.app())
    check_routes(app.routes)
    errors.install(app)
    app.add_middleware(Admission, max_in_flight=settings.api_max_in_flight)
    app.add_middleware(
        Bodies, max_bytes=MAX_BODY_BYTES, timeout_s=settings.api_arrival_timeout_s, arriving_bytes=ARRIVING_BYTES
    )
    if keys is None:
        app.add_middleware(LocalAdmin, open_metrics=settings.metrics_are_open)
    else:
        app.add_middleware(KeyCheck, keys=keys, open_metrics=settings.metrics_are_open)
    if service.traces is not None:
        from serving.middleware.traced import Traced

        tracer = service.traces.get_tracer("lamina")
        app.add_middleware(Traced, tracer=tracer, trusted=settings.trace_clients)
    app.add_middleware(RequestContext, new_id=new_id, leaving=service.leaving)
    return app

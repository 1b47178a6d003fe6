"""What the API gives every system, and what a system gives the API: the two sides of `build` in a system's folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI

from lamina.clock import Clock
from lamina.contracts.base import Event
from lamina.contracts.features import FeatureSet
from lamina.contracts.served import Served
from lamina.contracts.systems import System
from lamina.registry.protocol import ModelRegistry
from lamina.reviews.cases import Reviewing
from lamina.scoring.protocol import Scorer
from lamina.settings import ROOT, Settings
from lamina.store.protocol import Listing as Keys
from lamina.store.protocol import OnlineStore
from lamina.store.redis import RedisStore
from lamina.store.redis_listing import RedisListing
from lamina.store.redis_reader import AsyncRedisReader
from lamina.store.table import ItemTable
from serving.answering import Answering
from serving.checks import Checks
from serving.listing import Listing
from serving.routes.health import Dependency
from serving.served_models import Models
from serving.stages.budget import SCORE, Budget, Fallbacks, ListBudget
from serving.stages.case import Decider, J
from serving.stages.changeover import Changeovers, Load
from serving.stages.features import AsyncStore, FeatureStage
from serving.stages.kind import E, RequestKind
from serving.stages.lists.case import Q, Recommender
from serving.stages.lists.lister import FIND, Lister, Stages
from serving.stages.lists.logged import ListLog
from serving.stages.lists.once import Once
from serving.stages.log import EventLog
from serving.stages.making import Maker
from serving.stages.model import ServedModel
from serving.stages.pipeline import Pipeline
from serving.stages.repeats import KeptForm, Repeats
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.stages.shared_answers import RedisAnswers
from serving.stages.timed import TimedStage
from serving.supervision import Background

SYSTEMS = ROOT / "serving/systems"
EXPERIMENT_FILE = "experiment.yaml"
LEASE_MS = 1000
"""How long a process may take for an answer, on top of the answer's own time, before another, which came to the event
as well, takes it for dead: a busy machine's pauses are no deaths.
"""


@dataclass(frozen=True)
class Platform:
    """What every system is built from.

    `own_store`: what whoever starts the service brought in the place of Redis, by which nothing is shared then;
    `own_items`: the same for tables of items.
    """

    settings: Settings
    registry: ModelRegistry
    own_store: AsyncStore | None
    events: EventLog
    checks: Checks
    clock: Clock
    changeovers: Changeovers
    own_items: tuple[OnlineStore, Keys] | None = None

    def features(self, features: FeatureSet) -> FeatureStage:
        """A reader of the features of a system, which gives up as soon as the settings say."""
        timeout_ms = self.settings.redis_timeout_ms
        store = self.own_store or AsyncRedisReader(self.settings.redis_url.get_secret_value(), timeout_ms=timeout_ms)
        return self.changeovers.of(features).stage(store, timeout_ms=timeout_ms)

    def models(
        self, features: FeatureSet, load: Load, contract: type[Event], experiment_file: Path | None = None
    ) -> Models:
        """The champion registered under the name of the system of `features`, and what the experiment in the file asks
        for; each is loaded for the features that are read.

        Args: contract: of the requests, of which an experiment may choose some; experiment_file: `experiment.yaml` in
        the system's own folder where none is named.
        Raises: ExperimentError: when the file cannot be right.
        """
        folder, system, changeover = self.settings.stack_dir / "models", features.system, self.changeovers.of(features)

        def load_champion(found: Path) -> Scorer:
            return changeover.load(found, load, champion=True)

        def load_other(found: Path) -> Scorer:
            return changeover.load(found, load, champion=False)

        champion = ServedModel(system, self.registry, load_champion, folder / system)
        changeover.inputs = lambda: champion.current.scorer.names if champion.current else ()
        routing = Routing(
            champion,
            lambda wanted: ServedModel(system, self.registry, load_other, folder / f"{system}@{wanted}", wanted),
            experiment_file or SYSTEMS / system / EXPERIMENT_FILE,
            contract,
        )
        made = Models(champion, routing, ShadowScorer(self.events, clock=self.clock))
        changeover.retry, changeover.withdraw = made.retry, made.withdraw
        return made

    def answering(
        self,
        kind: RequestKind[E],
        decider: Callable[[], Decider[E, J]],
        load: Load,
        *,
        fallbacks: Fallbacks = Fallbacks(),  # noqa: B008 - it never changes
        form: KeptForm = KeptForm(),  # noqa: B008 - as above
        space: str | None = None,
        experiment_file: Path | None = None,
        count: Callable[[Served], None] = lambda served: None,
    ) -> Answering[E, J]:
        """What answers the requests of one kind, without its routes.

        Args: decider: gives what decides now; load: makes a scorer of a model's folder, for features; form: how answers
        are kept for events that come again; space: of their ids, by default the system's name; experiment_file: as for
        `models`; count: the system's own metrics.
        Raises: ExperimentError: when the experiment's file cannot be right.
        """
        settings = self.settings
        features = self.features(kind.record.features)
        models = self.models(kind.record.features, load, kind.contract, experiment_file)
        lease_ms = LEASE_MS + 2 * settings.decision_deadline_ms
        # Who brings a store of their own has no Redis to share answers by.
        shared = None if self.own_store else self._shared_answers(lease_ms, kind.system, space)
        repeats = Repeats(kind, shared, window_s=settings.repeat_window_s, form=form)
        budget = Budget(settings.redis_timeout_ms, settings.decision_deadline_ms, fallbacks)
        maker = Maker(kind, decider, features, models.routing, models.shadows, self.events, budget, self.clock, count)
        pipeline = Pipeline(kind, features, repeats, maker, budget, patience_ms=2 * lease_ms)
        return Answering(settings, kind, features, models, repeats, pipeline, self.checks)

    def listing(
        self,
        record: System,
        contract: type[Event],
        recommender: Recommender[Q],
        load: Load,
        *,
        keys: Collection[str],
        budget: ListBudget = ListBudget(),  # noqa: B008 - it never changes
        experiment_file: Path | None = None,
    ) -> Listing[Q]:
        """What answers requests for lists, without its routes.

        Args: contract: of the events that say what was shown; load: as for `answering`; keys: the columns of such an
        event that are a candidate's own ids; experiment_file: as for `models`.
        Raises: DefinitionError: no feature is about what candidates bring; ExperimentError: when the experiment's file
        cannot be right.
        """
        settings, name, url = self.settings, record.name, self.settings.redis_url.get_secret_value()
        features = self.features(record.features)
        models = self.models(record.features, load, contract, experiment_file)
        store, ids = self.own_items or (RedisStore(url), RedisListing(url))
        table = ItemTable(keys, lambda: features.reader, store, ids, self.clock)
        stages = Stages(
            TimedStage(name, FIND, budget_ms=budget.candidates_ms), TimedStage(name, SCORE, budget_ms=budget.ranking_ms)
        )
        written = ListLog(record, recommender, self.events, self.clock)
        once: Once[list[Served]] = Once(name, window_s=settings.repeat_window_s)
        lister = Lister(
            record, recommender, features, lambda: table.items, models.routing, models.shadows, stages, written, once
        )
        return Listing(name, settings, features, models, table, stages, lister)

    def _shared_answers(self, lease_ms: int, system: str, space: str | None) -> RedisAnswers:
        return RedisAnswers(
            self.settings.redis_url.get_secret_value(),
            timeout_ms=self.settings.redis_timeout_ms,
            window_s=self.settings.repeat_window_s,
            lease_ms=lease_ms,
            entries=self.settings.repeat_entries,
            system=system,
            space=system if space is None else space,
        )


class ServingSystem(Protocol):
    """What a system adds to the API; `build(platform)` in `serving/systems/<system>/build.py` gives it."""

    @property
    def name(self) -> str:
        """The system's name, which all its paths begin with."""

    @property
    def features(self) -> FeatureStage:
        """What it reads features with."""

    @property
    def models(self) -> Models:
        """Its models."""

    @property
    def reviewing(self) -> Reviewing | None:
        """How its answers are reviewed; None where none waits for a person."""

    def mount(self, app: FastAPI) -> None:
        """Add its routes."""

    def keep(self, background: Background) -> None:
        """Say what is to be kept current while requests are served."""

    def dependencies(self) -> Mapping[str, Dependency]:
        """How what it alone needs does, by name."""

    def reload(self) -> Mapping[str, bool]:
        """Look at its files now: whether each was taken over, by what it holds."""

    def recall(self, topic: str, value: bytes) -> None:
        """Take an event that an earlier process wrote down, before requests are served; `topic` has no prefix."""

    async def close(self) -> None:
        """Let go of what it holds."""

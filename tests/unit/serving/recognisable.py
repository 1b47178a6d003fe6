"""Models that can be told apart by their scores, in a registry in memory, and a decision maker over them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lamina.contracts.fraud_decisions import PREDICTIONS, Decision, answer_of
from lamina.contracts.served import FeatureValue, Served
from lamina.contracts.transactions import Transaction
from lamina.definitions.fraud import FEATURES
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, TrainingRun
from lamina.scoring.protocol import SCORE, Outputs
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.memory import MemoryStore
from lamina.store.protocol import Command, ReadKey, Snapshot
from lamina.store.reader import Reader
from serving.bootstrap import Service
from serving.stages.budget import Budget
from serving.stages.case import Case
from serving.stages.features import FeatureStage
from serving.stages.journal import Journal
from serving.stages.log import EventLog, Outgoing
from serving.stages.making import Maker
from serving.stages.model import ServedModel
from serving.stages.pipeline import Pipeline
from serving.stages.repeats import Repeats
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.systems.fraud.build import FALLBACKS, FraudSystem
from serving.systems.fraud.decide import REQUESTS, FraudCase, RulesAndRisk, count
from serving.systems.fraud.rule_engine import RuleEngine
from tests.unit.serving.transactions import transaction

AT_MS = 1735689700000


class Constant:
    """A scorer that gives every row the same score, read from its file; below 0 it fails."""

    system = FEATURES.system
    names = FEATURES.model_features
    outputs = (SCORE,)

    def __init__(self, score: float) -> None:
        self.constant = score

    def predict(self, features: Mapping[str, FeatureValue]) -> float:
        # Rows of a warm-up are empty: a model that fails on requests still passes it.
        if self.constant < 0 and features:
            raise ValueError("this model fails")
        return abs(self.constant)

    def predict_batch(self, rows: Sequence[Mapping[str, FeatureValue]]) -> Outputs:
        return {SCORE: np.array([self.predict(row) for row in rows])}

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        return {SCORE: np.full(rows, self.constant)}

    def explain(self, features: Mapping[str, FeatureValue]) -> list[tuple[str, float]]:
        return [("amount", self.constant)]


def load(folder: Path) -> Constant:
    return Constant(float((folder / "score.txt").read_text()))


def add_version(
    registry: MemoryRegistry, score: float, folder: Path, *aliases: str, name: str = FEATURES.system
) -> str:
    """A version of `name` that scores `score`, under `aliases`."""
    run = folder / f"run-{score}"
    (run / MODEL_FOLDER).mkdir(parents=True, exist_ok=True)
    (run / MODEL_FOLDER / "score.txt").write_text(str(score))
    run_id = registry.record(TrainingRun(FEATURES.system, date(2025, 1, 1), run))
    version = registry.register(name, run_id, {}).version
    for alias in aliases:
        registry.set_alias(name, alias, version)
    return version


def fraud_of(service: Service) -> FraudSystem:
    """What decides on transactions in `service`."""
    return cast(FraudSystem, service.systems["fraud"])


class AsyncMemoryStore:
    """A store in memory for an event loop."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        assert not also, "a store in memory has nothing but features"
        return self.store.read(keys)

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass


class KeptEvents(EventLog):
    """Events stay in a list."""

    def __init__(self, folder: Path) -> None:
        super().__init__("nowhere", "", Journal(folder / "journal"))
        self.kept: list[tuple[str, bytes]] = []

    def publish_all(self, outgoing: Sequence[Outgoing]) -> None:
        self.kept += [(each.topic, each.value) for each in outgoing]

    @property
    def decisions(self) -> list[Decision]:
        return [answer_of(each) for each in self.served if not each.shadow]

    @property
    def shadows(self) -> list[Served]:
        return [each for each in self.served if each.shadow]

    @property
    def served(self) -> list[Served]:
        return [Served.from_json(value) for topic, value in self.kept if topic == PREDICTIONS]


@dataclass
class Bench:
    """Everything that decides, in memory; the experiment file is the test's."""

    folder: Path
    clock_s: float = 1000.0
    registry: MemoryRegistry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = MemoryRegistry(self.folder / "registry")
        self.file = self.folder / "experiment.yaml"
        if not self.file.exists():
            self.file.write_text('version: "1"\n')

    def start(self) -> None:
        # None of the tests that only decide is about what came before.
        self.repeats = Repeats(REQUESTS, None, window_s=0)
        name, made = FEATURES.system, self.folder / "models"
        self.champion = ServedModel(name, self.registry, load, made / name)
        source: Callable[[str], ServedModel] = lambda wanted: ServedModel(  # noqa: E731
            name, self.registry, load, made / wanted, wanted
        )
        self.routing = Routing(self.champion, source, self.file, Transaction, monotonic=lambda: self.clock_s)
        self.events = KeptEvents(self.folder)
        self.shadows = ShadowScorer(self.events, clock=lambda: AT_MS)
        features = FeatureStage(AsyncMemoryStore(), Reader(make_plan(FEATURES)), timeout_ms=60_000)
        self.rules = RuleEngine(Settings().rules_file)
        budget = Budget(read_ms=60_000, deadline_ms=60_000, fallbacks=FALLBACKS)
        making = Maker(
            REQUESTS,
            lambda: RulesAndRisk(self.rules.book),
            features,
            self.routing,
            self.shadows,
            self.events,
            budget,
            lambda: AT_MS,
            count,
        )
        self.maker = Pipeline(REQUESTS, features, self.repeats, making, budget, patience_ms=60_000)

    async def refresh(self) -> None:
        for model in [self.champion, *self.routing.challengers]:
            await model.refresh()

    async def decide(self, user: str, **changes: object) -> Decision:
        async with asyncio.timeout(10):
            return await self.decided(self.case(user, **changes))

    async def decided(self, case: FraudCase, *, explain: bool = False) -> Decision:
        case.explain = explain
        return answer_of(await self.maker.answer(case))

    async def decided_all(self, cases: Sequence[FraudCase], *, explain: bool = False) -> list[Decision]:
        for case in cases:
            case.explain = explain
        return [answer_of(served) for served in await self.maker.answer_all(cases)]

    def case(self, user: str, **changes: object) -> FraudCase:
        import time

        return Case(transaction(user_id=user, **changes), f"r-{user}", time.perf_counter_ns())

"""The way of a request for a list: here the items of a shop, ranked by a network over who asks and each item."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiles import speed_writes
from lamina.contracts.base import Event
from lamina.contracts.features import FeatureSet
from lamina.contracts.served import ModelUsed, Served, served_topic
from lamina.contracts.systems import System
from lamina.contracts.user_events import USER_EVENT_TOPIC, UserEvent
from lamina.definitions import activity
from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.scoring.network import load as load_network
from lamina.scoring.protocol import Outputs, Scorer
from lamina.semantics.plan import make_plan
from lamina.store.among import Asker
from lamina.store.reader import Reader
from lamina.store.table import Items, ItemTable
from serving.stages.features import FeatureStage
from serving.stages.lists.case import Finding, Found, ListCase, Ranking, Shown
from serving.stages.lists.lister import Lister, Stages
from serving.stages.lists.logged import ListLog
from serving.stages.lists.once import Once
from serving.stages.lists.scored import Float64s
from serving.stages.model import Model, ServedModel
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from serving.stages.timed import TimedStage
from tests.looped import looped
from tests.parity.differences import differences
from tests.small_network import expected, write_small_network
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, KeptEvents, load
from tests.unit.serving.shop import views

FEATURES = FeatureSet(
    system="shop",
    request=activity.USER_EVENTS,
    views=(activity.USER_SESSION, activity.ITEM_TRAFFIC),
)
SYSTEM = System(features=FEATURES, topics=(USER_EVENT_TOPIC,), served=served_topic("shop"))
FINDER = ModelUsed(name="shop-retrieval", version="3")
ItemCase = ListCase[None]


LOOKS = {"i1": 4, "i2": 2, "i3": 7, "i4": 1}
"""Items of the shop, and how often each was looked at within the hour."""


class Shop:
    """Implements `Recommender`: finds all items by their ids, ranks by the score, shows none twice; its parts may be
    slow or fail.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.fails = False
        self.looked_at = 0

    def find(self, case: ItemCase, asker: Asker, items: Items) -> Finding:
        self.go.wait(20)
        if self.fails:
            raise RuntimeError("no index")
        assert asker.values["session_page_views"] == 4.0
        return Finding([found(id_, "index") for id_ in sorted(items.of("item").places)], {"index": FINDER})

    def instead(self, case: ItemCase, items: Items) -> Finding:
        return Finding([found(id_, "anybody") for id_ in ("i4", "i1")])

    def value(self, outputs: Outputs) -> Float64s:
        return outputs["score"]

    def choose(self, case: ItemCase, asker: Asker | None, ranking: Ranking) -> Iterable[Shown]:
        for place, each in enumerate(ranking):
            self.looked_at += 1
            yield Shown(each, 0.5 if place == 1 else None, {} if place or asker is None else {"first": True})

    def event(self, case: ItemCase, shown: Shown, position: int, id_: str) -> Event:
        return UserEvent.model_validate(
            {**case.row, **shown.ranked.found.fields, "event_id": id_, "page": "home", "timestamp": case.at_ms}
        )


def found(id_: str, source: str) -> Found:
    return Found(id_, source, {"item_id": id_})


class Bench:
    """Everything that answers, in memory."""

    def __init__(self, folder: Path, *, budget_ms: float = 20_000) -> None:
        registry = MemoryRegistry(folder / "registry")
        (folder / "experiment.yaml").write_text('version: "1"\n')
        self.network: Scorer = load_network(write_small_network(folder / "network"))
        self.champion = ServedModel("shop", registry, load, folder / "models")
        self.champion.current = Model("shop", "1", self.network)
        routing = Routing(self.champion, lambda wanted: self.champion, folder / "experiment.yaml", UserEvent)
        self.events, self.store, self.shop = KeptEvents(folder), AsyncMemoryStore(), Shop()
        self.reader = Reader(make_plan(FEATURES))
        self.features = FeatureStage(self.store, self.reader, timeout_ms=20_000)
        self.table = ItemTable({"item_id"}, lambda: self.reader, self.store.store, self.store.store, lambda: AT_MS)
        self.stages = Stages(
            TimedStage("shop", "candidates", budget_ms=budget_ms), TimedStage("shop", "model", budget_ms=budget_ms)
        )
        self.lister: Lister[None] = Lister(
            SYSTEM,
            self.shop,
            self.features,
            lambda: self.table.items,
            routing,
            ShadowScorer(self.events, clock=lambda: AT_MS),
            self.stages,
            ListLog(SYSTEM, self.shop, self.events, lambda: AT_MS),
            Once("shop", window_s=600),
        )
        rows = [row for item, n in LOOKS.items() for row in views("u1" if item == "i1" else f"u-{item}", item, n)]
        self.store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, {"user_events": rows}, 0))

    async def ask(self, request_id: str = "r-1", k: int = 3) -> list[Served]:
        row = {"user_id": "u1", "session_id": "s", "event_type": "page_view"}
        return await self.lister.answer(ListCase(None, row, k, AT_MS, request_id, time.perf_counter_ns()))

    @property
    def kept(self) -> list[tuple[str, Event]]:
        return [
            (topic, Served.from_json(value) if topic == "predictions-shop" else UserEvent.from_json(value))
            for topic, value in self.events.kept
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.table.refresh()
    yield made
    made.shop.go.set()
    made.stages.close()


def missed(stage: str, outcome: str) -> Callable[[], float]:
    return lambda: float(metrics.STAGES_MISSED.labels("shop", stage, outcome)._value.get())


def ids(served: list[Served]) -> list[str]:
    return [each.subjects["item"] for each in served]


@looped
async def test_the_best_by_who_asks_and_each_item_are_shown_in_order(bench: Bench) -> None:
    served = await bench.ask()
    assert ids(served) == ["i3", "i1", "i2"]
    for position, each in enumerate(served):
        item = each.subjects["item"]
        score = expected(4, LOOKS[item])
        assert each.outputs == {"score": pytest.approx(score, abs=1e-6)}
        (candidate,) = each.candidates
        assert (candidate.id, candidate.source, candidate.position) == (item, "index", position)
        assert candidate.propensity == each.propensity == (0.5 if position == 1 else None)
        assert candidate.outputs == each.outputs
        assert each.models == {"model": ModelUsed(name="shop", version="1"), "index": FINDER}
        assert (each.request_id, each.event_id, each.payload) == (
            f"r-1-{position}",
            f"r-1-{position}",
            {"list": "r-1"} if position else {"list": "r-1", "first": True},
        )
        assert each.subjects == {"shopper": "u1", "item": item} and each.key == "u1"
        assert (each.fallback, each.unknown, each.timestamp) == ("none", [], AT_MS)
        assert list(each.stage_ms) == ["features", "candidates", "model", "choice"]
    assert bench.shop.looked_at == 3


@looped
async def test_what_is_logged_of_an_item_is_what_its_row_has_alone(bench: Bench) -> None:
    """So parity, which recomputes features of the event that says that it was shown, finds these."""
    served = await bench.ask()
    assert [topic for topic, _ in bench.kept] == ["user-events", "predictions-shop"] * 3
    for (_, event), (_, logged), answer in zip(bench.kept[::2], bench.kept[1::2], served, strict=True):
        assert logged == answer
        assert isinstance(event, UserEvent)
        assert (event.event_id, event.user_id, event.item_id) == (answer.event_id, "u1", answer.subjects["item"])
        alone = bench.reader.read(bench.store.store, vars(event), AT_MS)
        assert not differences(alone.values, answer.features)
        assert (answer.seen, answer.through, answer.stale) == (alone.seen, alone.through, bool(alone.stale))
        assert alone.newest_ms is not None
        assert answer.feature_age_ms == AT_MS - alone.newest_ms


@looped
async def test_who_asks_counts_at_once_and_items_as_they_were_read_last(bench: Bench) -> None:
    await bench.ask()
    more = [{**row, "event_id": f"m{n}"} for n, row in enumerate(views("u-i2", "i2", 9))]
    bench.store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, {"user_events": more}, 0))
    assert ids(await bench.ask("r-2")) == ["i3", "i1", "i2"]
    bench.table.refresh()
    assert ids(await bench.ask("r-3")) == ["i2", "i3", "i1"]


@looped
async def test_who_asks_again_gets_the_list_that_there_was_and_nothing_is_logged_twice(bench: Bench) -> None:
    first = await bench.ask()
    bench.champion.current = None
    assert await bench.ask() is first
    assert len(bench.events.kept) == 6


@looped
async def test_a_late_model_leaves_the_order_of_the_finding(tmp_path: Path) -> None:
    bench = Bench(tmp_path, budget_ms=1000)
    bench.table.refresh()
    slow = Slow(bench.network)
    bench.champion.current = Model("shop", "1", slow)
    before, over = missed("model", "fell_back")(), missed("model", "over_budget")()
    served = await bench.ask()
    slow.go.set()
    assert ids(served) == ["i1", "i2", "i3"]
    assert [(each.fallback, each.outputs, list(each.models)) for each in served] == [("deadline", {}, ["index"])] * 3
    assert served[0].features["session_page_views"] == 4.0
    assert (missed("model", "fell_back")(), missed("model", "over_budget")()) == (before + 1, over + 1)
    bench.stages.close()


@pytest.mark.parametrize("slow", [True, False])
@looped
async def test_a_finder_that_is_late_or_fails_leaves_what_anybody_gets_ranked(tmp_path: Path, slow: bool) -> None:
    bench = Bench(tmp_path, budget_ms=1000)
    bench.table.refresh()
    bench.shop.fails = not slow
    if slow:
        bench.shop.go.clear()
    before = missed("candidates", "fell_back")()
    served = await bench.ask()
    bench.shop.go.set()
    assert ids(served) == ["i1", "i4"]
    assert {each.fallback for each in served} == {"no_candidates"}
    assert served[0].outputs and served[0].candidates[0].source == "anybody"
    assert list(served[0].models) == ["model"]
    assert missed("candidates", "fell_back")() == before + 1
    bench.stages.close()


@looped
async def test_without_the_store_anybodys_list_is_shown_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(bench.store, "read", fails)
    served = await bench.ask()
    assert ids(served) == ["i4", "i1"]
    assert [(each.fallback, each.features, each.outputs) for each in served] == [("no_features", {}, {})] * 2
    assert len(bench.events.kept) == 4


@looped
async def test_without_a_model_and_with_one_that_gives_no_numbers_the_order_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.champion.current = None
    assert [(each.subjects["item"], each.fallback) for each in await bench.ask("r-1", 2)] == [
        ("i1", "no_model"),
        ("i2", "no_model"),
    ]
    monkeypatch.setattr(bench.network, "score", lambda matrix: np.full((len(matrix), 1), np.nan))
    bench.champion.current = Model("shop", "1", bench.network)
    assert [each.fallback for each in await bench.ask("r-2", 2)] == ["no_model"] * 2


@looped
async def test_before_items_were_read_nothing_is_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(StoreUnavailable, match="no item was read"):
        await bench.ask()
    bench.table.refresh()
    assert len(await bench.ask()) == 3
    bench.stages.close()


@looped
async def test_a_list_of_nothing_is_one_and_lists_are_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(fallback: str) -> float:
        return float(metrics.LISTS.labels("shop", fallback)._value.get())

    shown = metrics.LIST_ITEMS.labels("shop", "index")._value
    scores = metrics.SCORES.labels("shop", "1")._sum
    none, empty, before, sum_before = counted("none"), counted("empty"), shown.get(), scores.get()
    served = await bench.ask()
    assert scores.get() - sum_before == pytest.approx(sum(each.outputs["score"] for each in served))
    monkeypatch.setattr(bench.shop, "find", lambda case, asker, items: Finding([]))
    assert await bench.ask("r-2") == []
    assert (counted("none"), counted("empty"), shown.get()) == (none + 1, empty + 1, before + 3)
    assert len(bench.events.kept) == 6


class Slow:
    """A model that takes its time."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self.go = scorer, threading.Event()
        self.system, self.names, self.outputs = scorer.system, scorer.names, scorer.outputs
        self.predict, self.predict_batch, self.explain = scorer.predict, scorer.predict_batch, scorer.explain

    def predict_columns(self, columns: object, rows: int) -> Outputs:
        self.go.wait(20)
        return {"score": np.zeros(rows)}

"""The way of a request of any system: here views in a shop, whose answer is the model's output and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tiles import speed_writes
from lamina.contracts.features import FeatureSet
from lamina.contracts.served import ModelUsed, Served, served_topic
from lamina.contracts.systems import System
from lamina.contracts.user_events import USER_EVENT_TOPIC, USER_EVENTS, UserEvent
from lamina.definitions import activity
from lamina.errors import DefinitionError, RepeatedOtherwise, StoreUnavailable
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.scoring.network import load as load_network
from lamina.semantics.plan import make_plan
from lamina.store.reader import Reader
from serving.stages.budget import Budget
from serving.stages.case import Case, Decider, OutputsAlone, Verdict
from serving.stages.features import FeatureStage
from serving.stages.kind import RequestKind
from serving.stages.making import Maker
from serving.stages.model import Model, ServedModel
from serving.stages.pipeline import Pipeline
from serving.stages.repeats import Repeats
from serving.stages.routing import Routing
from serving.stages.shadow import ShadowScorer
from tests.small_network import write_small_network
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, KeptEvents, add_version, load
from tests.unit.serving.shop import views

FEATURES = FeatureSet(
    system="shop",
    request=activity.USER_EVENTS,
    views=(activity.USER_SESSION, activity.ITEM_TRAFFIC),
)
SYSTEM = System(features=FEATURES, topics=(USER_EVENT_TOPIC,), served=served_topic("shop"))
VIEWS = RequestKind(SYSTEM, UserEvent)
ViewCase = Case[UserEvent, Any]


def view(user: str = "u1", **changes: object) -> ViewCase:
    (event,) = views(user, "i1", 1)
    made = UserEvent.model_validate({**event, "timestamp": AT_MS, "event_id": f"of-{user}", **changes})
    return Case(made, f"r-{user}", time.perf_counter_ns())


class Shop:
    """Everything that answers, in memory; `decider` is the test's."""

    def __init__(self, folder: Path, decider: Decider[UserEvent, Any] | None = None) -> None:
        registry = MemoryRegistry(folder / "registry")
        add_version(registry, 0.25, folder, "champion", name="shop")
        (folder / "experiment.yaml").write_text('version: "1"\n')
        self.champion = ServedModel("shop", registry, load, folder / "models")
        routing = Routing(self.champion, lambda wanted: self.champion, folder / "experiment.yaml", UserEvent)
        self.events, self.store = KeptEvents(folder), AsyncMemoryStore()
        self.store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, {"user_events": views("u1", "i1", 4)}, 0))
        features = FeatureStage(self.store, Reader(make_plan(FEATURES)), timeout_ms=60_000)
        budget = Budget(read_ms=60_000, deadline_ms=60_000)
        self.counted: list[Served] = []
        maker = Maker(
            VIEWS,
            lambda: decider or OutputsAlone(),
            features,
            routing,
            ShadowScorer(self.events, clock=lambda: AT_MS),
            self.events,
            budget,
            lambda: AT_MS,
            self.counted.append,
        )
        repeats = Repeats(VIEWS, None, window_s=600)
        self.pipeline: Pipeline[UserEvent, Any] = Pipeline(VIEWS, features, repeats, maker, budget, patience_ms=60_000)

    def answer(self, *cases: ViewCase) -> list[Any]:
        async def run() -> list[Any]:
            await self.champion.refresh()
            ways = (self.pipeline.answer(case) for case in cases)
            async with asyncio.timeout(20):
                return list(await asyncio.gather(*ways, return_exceptions=True))

        return asyncio.run(run())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


OUTCOMES = [(stage, outcome) for stage in ("features", "model") for outcome in ("fell_back", "over_budget")]


def missed(stage: str, outcome: str) -> Callable[[], float]:
    return lambda: float(metrics.STAGES_MISSED.labels("shop", stage, outcome)._value.get())


def test_the_answer_is_what_the_model_gave_of_what_is_stored(shop: Shop) -> None:
    (found,) = shop.answer(view())
    assert (found.system, found.request_id, found.event_id) == ("shop", "r-u1", "of-u1")
    assert found.subjects == {"shopper": "u1", "item": "i1"} and found.key == "u1"
    assert found.outputs == {"score": 0.25} and found.models.keys() == {"model"}
    assert (found.action, found.payload, found.fallback, found.unknown) == (None, {}, "none", [])
    assert found.features["session_page_views"] == 4.0 and found.stage_ms.keys() == {"features", "model"}
    assert shop.counted == [found]


def test_every_output_of_the_model_is_in_the_answer_by_its_name(shop: Shop, tmp_path: Path) -> None:
    """Alone and together with others; the first is the score, which the metrics show."""
    network = load_network(write_small_network(tmp_path / "network", outputs=("purchase", "returned")))
    shop.champion.current = Model("shop", "1", network)
    scores = metrics.SCORES.labels("shop", "1")._sum
    before = scores.get()
    found = [*shop.answer(view()), *shop.answer(view("u2"), view("u3"))]
    for each in found:
        wanted = network.predict_batch([each.features])
        assert each.outputs == {name: pytest.approx(float(values[0])) for name, values in wanted.items()}
        assert list(each.outputs) == ["purchase", "returned"] and each.fallback == "none"
    assert found[0].outputs["purchase"] != found[0].outputs["returned"]
    assert scores.get() - before == pytest.approx(sum(each.outputs["purchase"] for each in found))
    answers = [Served.from_json(value) for topic, value in shop.events.kept if topic == "predictions-shop"]
    assert [list(each.outputs) for each in answers] == [["purchase", "returned"]] * 3


@pytest.mark.parametrize("n", [1, 2])
def test_an_output_that_is_no_number_is_a_model_that_failed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    network = load_network(write_small_network(tmp_path / "network", outputs=("purchase", "returned")))
    shop.champion.current = Model("shop", "1", network)
    monkeypatch.setattr(network, "score", lambda matrix: np.array([[0.5, np.nan]] * len(matrix)))
    found = shop.answer(*(view(f"of {n} u{i}") for i in range(n)))
    assert [(each.outputs, each.fallback) for each in found] == [({}, "no_model")] * n


def test_a_request_and_its_answer_are_published_under_one_key(shop: Shop) -> None:
    found = shop.answer(view(), view("u2"))
    assert [topic for topic, _ in shop.events.kept] == [USER_EVENTS, "predictions-shop"] * 2
    published = [value for _, value in shop.events.kept]
    assert [UserEvent.from_json(value).user_id for value in published[::2]] == ["u1", "u2"]
    assert [Served.from_json(value) for value in published[1::2]] == found


def test_the_same_event_again_has_the_same_answer(shop: Shop) -> None:
    (first,) = shop.answer(view())
    again, other = shop.answer(view(), view(page="search"))
    assert again == first.model_copy(update={"features": {}, "seen": {}, "through": {}})
    assert isinstance(other, RepeatedOtherwise) and other.field == "event_id"
    assert "user event of-u1 was sent with another content" in str(other)
    assert len(shop.counted) == 1


def test_what_was_written_down_is_known_after_a_restart(shop: Shop, tmp_path: Path) -> None:
    shop.answer(view())
    restarted = Shop(tmp_path)
    for topic, value in shop.events.kept:
        restarted.pipeline._repeats.recall(topic, value)
    assert restarted.answer(view())[0].outputs == {"score": 0.25} and not restarted.events.kept


@pytest.mark.parametrize(
    ("wrong", "fallback", "counts"),
    [
        ("store", "no_features", {("features", "fell_back"): 1}),
        ("slow store", "none", {("features", "over_budget"): 1}),
        ("no model", "no_model", {("model", "fell_back"): 1}),
        ("model", "no_model", {("model", "fell_back"): 1}),
        ("late", "deadline", {(s, o): 1 for s, o in OUTCOMES if (s, o) != ("features", "fell_back")}),
        ("slow model", "none", {("model", "over_budget"): 1}),
    ],
)
def test_each_stage_has_its_fallback_and_is_counted(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, fallback: str, counts: dict[Any, int]
) -> None:
    clock = [time.perf_counter_ns()]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock[0])
    read, scorer = shop.store.read, load(tmp_path / "run-0.25" / "model")

    async def slow_read(*given: Any) -> Any:
        if wrong == "store":
            raise StoreUnavailable("away")
        clock[0] += {"slow store": 60_001, "late": 60_001}.get(wrong, 0) * 1_000_000
        return await read(*given)

    def predict(features: Any) -> float:
        if features and wrong == "model":
            raise ValueError
        if features and wrong == "slow model":
            clock[0] += 60_001 * 1_000_000
        return 0.25

    monkeypatch.setattr(shop.store, "read", slow_read)
    monkeypatch.setattr(scorer, "predict", predict)
    monkeypatch.setattr(shop.champion, "_load", lambda folder: scorer)
    if wrong == "no model":
        monkeypatch.setattr(shop.champion, "_refresh", lambda: None)
    if wrong == "slow store":
        shop.pipeline._deadline_ns *= 2
    every = {key: missed(*key) for key in OUTCOMES}
    before = {key: count() for key, count in every.items()}
    (found,) = shop.answer(view())
    assert found.fallback == fallback and bool(found.outputs) == (fallback == "none")
    assert {key: count() - before[key] for key, count in every.items() if count() != before[key]} == counts


class Picky(OutputsAlone[UserEvent]):
    """Cannot judge u1, nor settle what the model says of u2."""

    def judge(self, case: ViewCase) -> None:
        if case.event.user_id == "u1":
            raise ZeroDivisionError

    def settle(self, case: ViewCase) -> Verdict:
        if case.event.user_id == "u2" and case.outputs:
            raise ZeroDivisionError
        return Verdict("show", payload={"by": "the model" if case.outputs else "nobody"})


def test_what_is_wrong_with_one_is_not_its_neighbours_business(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Picky())
    first, second, third = shop.answer(view("u1"), view("u2"), view("u3"))
    assert isinstance(first, ZeroDivisionError)
    assert (second.action, second.payload, second.fallback) == ("show", {"by": "nobody"}, "no_model")
    assert (third.action, third.payload, third.fallback) == ("show", {"by": "the model"}, "none")
    assert shop.counted == [second, third]


class Unwritable(OutputsAlone[UserEvent]):
    """Says of u2 what JSON cannot hold."""

    def settle(self, case: ViewCase) -> Verdict:
        payload: dict[str, Any] = {"by": object()} if case.event.user_id == "u2" else {}
        return Verdict(payload=payload)


def test_an_answer_that_cannot_be_written_down_fails_its_own_request_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Unwritable())
    first, second, third = shop.answer(view("u1"), view("u2"), view("u3"))
    assert isinstance(second, TypeError) and (first.outputs, third.outputs) == ({"score": 0.25}, {"score": 0.25})
    assert [Served.from_json(value) for _, value in shop.events.kept[1::2]] == [first, third] == shop.counted


def test_an_answer_that_is_logged_is_given_though_it_cannot_be_counted(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """An error would have the event sent again, and counted twice in features."""

    def fail(served: Served) -> None:
        raise ZeroDivisionError

    shop.pipeline._maker._count = fail
    found = shop.answer(view(), view("u2"))
    assert [each.request_id for each in found] == ["r-u1", "r-u2"] and len(shop.events.kept) == 4
    assert [record.getMessage() for record in caplog.records] == ["an answer of shop is not in its own metrics"] * 2


class Visit(UserEvent):
    """An event that need not be about an item: an answer about none would be a dead letter."""

    item_id: str | None = None  # type: ignore[assignment]


def test_what_an_answer_is_about_is_in_every_request() -> None:
    with pytest.raises(DefinitionError, match=r"not every Visit has \['item_id'\], which its answer would name"):
        RequestKind(SYSTEM, Visit)


class Placed(UserEvent):
    """A view with a part of its own that no feature is made from."""

    place: ModelUsed


def test_a_request_may_have_parts_that_no_feature_is_made_from() -> None:
    kind = RequestKind(SYSTEM, Placed)
    event = Placed(**view().event.model_dump(), place=ModelUsed(name="shelf", version="2"))
    repeats = Repeats(kind, None, window_s=600)
    made: Any = Pipeline(kind, Any, repeats, Any, Budget(1, 1), patience_ms=1)  # type: ignore[arg-type]
    case: Case[Placed, Any] = Case(event, "r-1", time.perf_counter_ns())
    made._begin(case, 1)
    assert case.raw == event.to_json()


def test_a_system_that_answers_says_where() -> None:
    with pytest.raises(DefinitionError, match="'shop' answers requests: describe topic 'predictions-shop'"):
        RequestKind(System(features=FEATURES), UserEvent)

"""Lists of videos, as the platform answers them: here of a small catalogue in a store in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tiles import speed_writes
from lamina.contracts.served import ModelUsed, Served
from lamina.contracts.videos import Impression
from lamina.definitions.recommendation import FEATURES
from lamina.definitions.recommendation import SYSTEM as RECORD
from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.protocol import Outputs, Scorer
from lamina.scoring.retrievers.protocol import Float32s, Retriever
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.listing import Listing
from serving.platform import Platform
from serving.stages.budget import ListBudget
from serving.stages.changeover import Changeovers
from serving.stages.lists.case import ListCase, Ranked, Ranking
from serving.stages.model import InService, Model
from serving.systems.recommendation import recommender
from serving.systems.recommendation.near import near
from serving.systems.recommendation.policy import Exploring, Policy
from serving.systems.recommendation.recommender import Question, Videos
from tests.looped import looped
from tests.unit.serving.recognisable import AsyncMemoryStore, KeptEvents
from tests.unit.serving.systems.recommendation.test_shelf import NOW, upload, watches

POLICY = Policy(
    version="7",
    per_channel=2,
    relevance=1.0,
    exploring=Exploring(slots=1, of=4, pools={"fresh": 0.5, "untried": 0.5}),
)
WATCHES = {"a": 9, "b": 7, "c": 5, "d": 3, "s": 8}
UPLOADS = [
    upload("a", "x", 50),
    upload("b", "x", 49),
    upload("c", "x", 48),
    upload("d", "y", 47, category="news"),
    upload("e", "y", 46, category="news"),
    upload("f", "z", 45),
    upload("s", "z", 44, content_rating="sensitive"),
]


class Known:
    """Implements `Retriever`: likes the video best that comes after one that was watched; all are alike to a user who
    has watched nothing that it knows.
    """

    form: ClassVar[str] = "known"
    items = np.array(list("abcdef"), object)
    arguments: Mapping[str, Any] = {}
    fails = False

    def scores(self, asked: Interactions) -> Float32s:
        if self.fails:
            raise RuntimeError("no retriever")
        found = np.zeros((len(asked.users), 6), np.float32)
        for user, item in zip(asked.user, asked.item, strict=True):
            place = "abcdef".find(asked.items[item])
            if place >= 0:
                found[user] += [-abs(n - place - 1) for n in range(6)]
        return found

    def arrays(self) -> Mapping[str, Any]:
        return {}

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> Known:
        return cls()


class Longest:
    """A model that ranks by the number of the candidate, the last first."""

    system, names, outputs = "recommendation", ("video_duration_s", "watch_frequency_30d"), ("watch", "like")

    def predict_columns(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Outputs:
        assert columns["video_duration_s"].tolist() == [60.0] * rows
        return {"watch": np.arange(rows, dtype=np.float64), "like": np.full(rows, 0.25)}


class Bench:
    """Everything that answers."""

    def __init__(self, folder: Path) -> None:
        (folder / "experiment.yaml").write_text('version: "1"\n')
        settings = Settings.model_validate(
            {"stack_dir": folder / "stack", "lake_url": str(folder / "lake"), "redis_timeout_ms": 20_000}
            | {"decision_deadline_ms": 20_000}
        )
        self.store, self.events, self.retriever = AsyncMemoryStore(), KeptEvents(folder), Known()
        platform = Platform(
            settings,
            MemoryRegistry(folder / "registry"),
            self.store,
            self.events,
            Checks(CardNumbers(())),
            lambda: NOW,
            Changeovers(settings.lake_url),
            (self.store.store, self.store.store),
        )
        self.in_service: InService[Retriever] | None = InService("recommendation-retrieval", "3", self.retriever)
        self.videos = Videos(lambda: self.in_service, POLICY, np.random.default_rng(3), lambda: NOW)
        made = platform.listing(
            RECORD,
            Impression,
            self.videos,
            lambda folder, features: pytest.fail("no model is registered"),
            keys={"video_id", "channel_id"},
            budget=ListBudget(20_000, 20_000),
            experiment_file=folder / "experiment.yaml",
        )
        self.system: Listing[Question] = replace(made, digest=self.videos.restock)
        self.write(video_uploads=UPLOADS, video_watches=[row for id_, n in WATCHES.items() for row in watches(id_, n)])
        asyncio.run(self.system.refresh())

    def write(self, **events: Sequence[dict[str, object]]) -> None:
        self.store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, events, 0))

    def watched(self, viewer: str, *ids: str) -> None:
        self.write(
            video_watches=[
                watches(id_, 1)[0] | {"event_id": f"{viewer}{id_}", "viewer_id": viewer, "timestamp": NOW - 9000 + n}
                for n, id_ in enumerate(ids)
            ]
        )

    async def ask(self, viewer: str, k: int = 3, interests: Sequence[str] = (), id_: str = "r-1") -> list[Served]:
        row = {"viewer_id": viewer, "device": "tv", "day_part": "night"}
        return await self.system.lister.answer(ListCase(Question(interests), row, k, NOW, id_, time.perf_counter_ns()))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.system.stages.close()


def missed(stage: str, outcome: str = "fell_back") -> float:
    return float(metrics.STAGES_MISSED.labels("recommendation", stage, outcome)._value.get())


def shown(served: list[Served]) -> list[tuple[str, str | None]]:
    return [(each.subjects["video"], each.candidates[0].source) for each in served]


@looped
async def test_who_has_watched_gets_what_several_sources_found_and_nothing_again(bench: Bench) -> None:
    bench.watched("u", "a", "b")
    served = await bench.ask("u")
    assert shown(served) == [(id_, "collaborative+trending+similar") for id_ in "cde"]
    assert served[0].models == {
        "policy": ModelUsed(name="policy", version="7"),
        "retriever": ModelUsed(name="recommendation-retrieval", version="3"),
    }
    assert [each.fallback for each in served] == ["no_model"] * 3
    assert served[0].payload["removed"] == {"watched": ["a"]} and "removed" not in served[1].payload
    assert served[0].features["recent_videos"] == ["b", "a"]


@looped
async def test_what_is_shown_is_an_event_of_the_topic_of_impressions(bench: Bench) -> None:
    served = await bench.ask("nobody", 4, ["news"])
    events = [Impression.from_json(value) for topic, value in bench.events.kept if topic == "video-impressions"]
    assert [(each.event_id, each.video_id, each.source, each.propensity) for each in events] == [
        (each.event_id, each.subjects["video"], each.candidates[0].source, each.propensity) for each in served
    ]
    first = events[0]
    assert (first.viewer_id, first.request_id, first.position, first.device) == ("nobody", "r-1", 0, "tv")
    assert (first.video_id, first.channel_id, first.category, first.timestamp) == ("d", "y", "news", NOW)
    assert [each.position for each in events] == [0, 1, 2, 3]


@looped
async def test_a_new_viewer_gets_what_they_say_to_like_and_what_everybody_watches(bench: Bench) -> None:
    assert shown(await bench.ask("new", 3)) == [("a", "trending"), ("b", "trending"), ("d", "trending")]
    served = await bench.ask("new", 3, ["news"], "r-2")
    assert shown(served) == [("d", "interests+trending"), ("a", "trending"), ("e", "interests+trending")]
    bench.write(viewer_interests=[{"event_id": "i", "viewer_id": "said", "category": "news", "timestamp": NOW - 5000}])
    assert shown(await bench.ask("said", 3)) == shown(served)
    follow = {"event_id": "f", "viewer_id": "fan", "channel_id": "z", "followed": True, "timestamp": NOW - 5000}
    bench.write(channel_follows=[follow])
    assert ("f", "follow+trending") in shown(await bench.ask("fan", 3))


@looped
async def test_rules_say_what_they_removed_and_it_is_counted(bench: Bench) -> None:
    def count(rule: str) -> float:
        return float(metrics.LIST_REMOVED.labels("recommendation", rule)._value.get())

    before = {rule: count(rule) for rule in ("sensitive", "channel", "watched")}
    served = await bench.ask("new", 3)
    assert served[0].payload["removed"] == {"sensitive": ["s"], "channel": ["c"]}
    assert {rule: count(rule) - before[rule] for rule in before} == {"sensitive": 1, "channel": 1, "watched": 0}
    bench.watched("u", "a")
    served = await bench.ask("u", 3)
    assert cast(dict[str, Any], served[0].payload["removed"])["watched"] == ["a"]


@looped
async def test_the_models_first_output_ranks_and_chance_has_the_last_position(bench: Bench) -> None:
    bench.system.models.champion.current = Model("recommendation", "1", cast(Scorer, Longest()))
    order = [id_ for id_, _ in shown(await bench.ask("new", 3, id_="r-0"))]
    seen: dict[str, float] = {}
    for n in range(40):
        served = await bench.ask("new", 4, id_=f"q-{n}")
        assert [id_ for id_, _ in shown(served)[:3]] == order
        assert [each.propensity for each in served[:3]] == [None] * 3
        last = served[3]
        assert last.propensity is not None and last.features["video_duration_s"] == 60.0
        assert last.candidates[0].source in ("explore_fresh", "explore_untried")
        assert seen.setdefault(last.subjects["video"], last.propensity) == last.propensity
    assert sum(seen.values()) == pytest.approx(1)
    assert served[0].outputs["watch"] > served[1].outputs["watch"] and served[0].outputs["like"] == 0.25
    assert served[0].fallback == "none"


@looped
async def test_without_a_retriever_those_of_the_same_channel_and_category_are_alike(bench: Bench) -> None:
    bench.in_service = None
    bench.watched("u", "d")
    before = missed("retriever")
    served = await bench.ask("u", 6)
    assert ("e", "trending+similar") in shown(served)
    assert list(served[0].models) == ["policy"]
    assert missed("retriever") == before + 1
    await bench.ask("new", 6)
    assert missed("retriever") == before + 1


@looped
async def test_of_watches_that_the_retriever_does_not_know_those_of_the_same_channel_and_category_are_alike(
    bench: Bench,
) -> None:
    bench.watched("u", "s")
    before = missed("retriever")
    served = await bench.ask("u", 6)
    assert ("f", "trending+similar") in shown(served)
    assert not [source for _, source in shown(served) if "collaborative" in str(source)]
    assert list(served[0].models) == ["policy"]
    assert missed("retriever") == before


@looped
async def test_a_retriever_that_fails_and_a_store_that_is_away_leave_what_everybody_watches(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable("away")

    bench.watched("u", "a")
    monkeypatch.setattr(Known, "fails", True)
    served = await bench.ask("u", 2)
    # What was watched is known all the same.
    assert (shown(served), served[0].fallback) == ([("b", "trending"), ("c", "trending")], "no_candidates")
    monkeypatch.setattr(bench.store, "read", fails)
    served = await bench.ask("u", 2, id_="r-2")
    assert (shown(served), served[0].fallback) == ([("a", "trending"), ("b", "trending")], "no_features")


@looped
async def test_a_video_that_was_taken_down_is_gone_at_the_next_look(bench: Bench) -> None:
    bench.write(video_uploads=[upload("a", "x", 0, status="removed")])
    await bench.system.refresh()
    assert [id_ for id_, _ in shown(await bench.ask("new", 2))] == ["b", "c"]


@pytest.mark.parametrize(
    ("relevance", "tick_ms", "expected", "counted"),
    [(0.3, 6, ["a", "b"], 1), (0.3, 4, ["a", "d"], 0), (1.0, 6, ["a", "b"], 0)],
)
def test_without_time_there_is_no_variety_and_it_is_counted_where_there_was_to_be_some(
    bench: Bench, relevance: float, tick_ms: int, expected: list[str], counted: int
) -> None:
    outcomes = ("over_budget", "fell_back")
    ticks, before = iter(range(0, 10**12, tick_ms * 1_000_000)), [missed("choice", each) for each in outcomes]
    bench.videos.monotonic_ns = lambda: next(ticks)
    bench.videos.policy = POLICY.model_copy(update={"relevance": relevance})
    assert [id_ for id_, _ in shown(asyncio.run(bench.ask("new", 2)))] == expected
    assert [missed("choice", each) for each in outcomes] == [each + counted for each in before]


@pytest.mark.parametrize(("k", "expected"), [(3, ("sabcdef", "")), (4, ("a", "bcdef"))])
def test_what_is_there_for_chance_alone_is_found_where_chance_has_a_position(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, k: int, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(recommender, "MOST", 7)
    items = bench.system.table.items
    assert items is not None
    case = ListCase(Question(), {}, k, NOW, "r-1", time.perf_counter_ns())
    found = bench.videos.instead(case, items).found
    by_chance = {each.id for each in found if each.source == "explore"}
    assert ({each.id for each in found} - by_chance, by_chance) == (set(expected[0]), set(expected[1]))


@looped
async def test_no_more_of_the_ranking_is_looked_at_than_the_list_needs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(video_uploads=[upload(f"v{n:03d}", f"of-{n}", 60 + n) for n in range(300)])
    await bench.system.refresh()
    looked_at: list[int] = []
    at = Ranking.at

    def counted(self: Ranking, place: int) -> Ranked:
        looked_at.append(place)
        return at(self, place)

    monkeypatch.setattr(Ranking, "at", counted)
    for k, most in ((3, 12), (8, 30)):
        looked_at.clear()
        assert len(await bench.ask("new", k, id_=f"r-{k}")) == k
        assert len(looked_at) <= most


def test_a_retriever_is_asked_for_the_history_and_for_each_of_the_last_watches() -> None:
    found = near(Known(), ["e", "a", "a"], 100.0)
    assert found is not None
    # By the history all that lie between both are alike; f follows e, which was the last, and b follows a.
    assert found.collaborative == list("bcdf")
    assert found.similar == list("fbdc")
    assert near(Known(), ["e"], 100.0, most=1) == (["f"], ["f"])


def test_watches_that_a_retriever_does_not_know_are_nothing_to_it() -> None:
    assert near(Known(), ["s", "e", *"uvwxyz", "a", "aa", ""], 100.0) == near(Known(), ["e", "a"], 100.0)
    assert near(Known(), ["s", "", "aa"], 100.0) is None

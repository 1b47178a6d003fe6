"""A system of lists, as the platform puts it together: its routes, what is kept current, and how it does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY

from benchmarks.tiles import speed_writes
from lamina.contracts.features import FeatureSet
from lamina.contracts.user_events import UserEvent
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.scoring.network import load as load_network
from lamina.scoring.protocol import Scorer
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.table import Items
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.listing import Listing
from serving.platform import Platform
from serving.stages.changeover import Changeovers
from serving.stages.lists.case import ListCase
from serving.supervision import Background
from tests.small_network import write_small_network
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, KeptEvents
from tests.unit.serving.shop import add_model, views
from tests.unit.serving.stages.lists.test_lister import FEATURES, SYSTEM, Shop


def load(folder: Path, features: FeatureSet) -> Scorer:
    return load_network(folder)


class Made:
    """A system of lists over a store and a registry in memory."""

    def __init__(self, folder: Path) -> None:
        self.now, self.store, registry = AT_MS, AsyncMemoryStore(), MemoryRegistry(folder / "registry")
        write_small_network(folder / "run/model")
        add_model(registry, "shop", folder / "run")
        (folder / "experiment.yaml").write_text('version: "1"\n')
        settings = Settings.model_validate({"stack_dir": folder / "stack", "lake_url": str(folder / "lake")})
        platform = Platform(
            settings,
            registry,
            self.store,
            KeptEvents(folder),
            Checks(CardNumbers(())),
            lambda: self.now,
            Changeovers(settings.lake_url),
            (self.store.store, self.store.store),
        )
        made = platform.listing(
            SYSTEM, UserEvent, Shop(), load, keys={"item_id"}, experiment_file=folder / "experiment.yaml"
        )
        self.system: Listing[None] = replace(made, routers=(self.routes(made),))
        self.add("i1", 4)

    def add(self, item: str, n: int) -> None:
        events = {"user_events": views("u1", item, n)}
        self.store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, events, 0))

    def routes(self, made: Listing[None]) -> APIRouter:
        router = APIRouter()

        @router.get("/shop/lists/{user_id}")
        async def items(user_id: str) -> list[str]:
            row = {"user_id": user_id, "session_id": "s", "event_type": "page_view"}
            served = await made.lister.answer(ListCase(None, row, 5, self.now, "r-1", time.perf_counter_ns()))
            return [each.subjects["item"] for each in served]

        return router


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def age_s() -> float:
    return float(REGISTRY.get_sample_value("items_held_age_seconds", {"system": "shop"}) or 0)


def test_its_routes_answer_once_its_items_were_read_and_the_background_reads_them(made: Made) -> None:
    async def run() -> None:
        app, background = FastAPI(), Background()
        made.system.mount(app)
        made.system.keep(background)
        assert made.system.dependencies()["items"].problem == "none was read yet"
        background.start()
        try:
            async with asyncio.timeout(20):
                while any(each.problem for each in made.system.dependencies().values()):
                    await asyncio.sleep(0.01)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                assert (await client.get("/shop/lists/u1")).json() == ["i1"]
        finally:
            await background.stop(5)
            await made.system.close()

    asyncio.run(run())


def test_how_old_the_items_are_is_shown_and_a_problem_from_a_minute_on(made: Made) -> None:
    made.system.keep(Background())
    assert age_s() == float("inf")
    asyncio.run(made.system.refresh())
    assert metrics.ITEMS_HELD.labels("shop", "item")._value.get() == 1
    made.add("i2", 1)
    asyncio.run(made.system.refresh())
    assert metrics.ITEMS_HELD.labels("shop", "item")._value.get() == 2
    made.now += 60_000
    assert age_s() == 60
    assert made.system.dependencies()["items"].problem is None
    made.now += 1_000
    assert made.system.dependencies()["items"].problem == "they were last read 61 s ago"
    assert made.system.reload() == {"experiment": False}
    made.system.recall("user-events", b"{}")


def test_items_are_in_use_once_they_are_digested(made: Made) -> None:
    def digest(items: Items) -> None:
        seen.append((made.system.table.items is items, made.system.dependencies()["items"].problem))
        if len(seen) == 2:
            raise ValueError("not digested")

    seen: list[tuple[bool, str | None]] = []
    made.system = replace(made.system, digest=digest)
    asyncio.run(made.system.refresh())
    assert seen == [(False, "none was read yet")]
    before = made.system.table.items
    assert before is not None
    with pytest.raises(ValueError, match="not digested"):
        asyncio.run(made.system.refresh())
    assert made.system.table.items is before

"""A shop in memory: what was looked at, a small network and small trees in a registry, and the service over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import httpx

from benchmarks.small_model import train_small_model
from benchmarks.tiles import speed_writes
from lamina.definitions import activity
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER, ModelRegistry, TrainingRun
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.protocol import TileWrite
from serving.bootstrap import Service, make_app, make_service
from tests.small_network import write_small_network
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, fraud_of

MINUTE_MS = 60_000
PURCHASE = "purchase"


def views(user: str, item: str, n: int) -> list[dict[str, object]]:
    """`n` page views of `user` at `item`, one a minute, the last a minute before the shop's time."""
    return [
        {
            "event_id": f"{user}-{item}-{i}",
            "user_id": user,
            "event_type": "page_view",
            "item_id": item,
            "session_id": "s",
            "page": "item",
            "timestamp": AT_MS - (i + 1) * MINUTE_MS,
        }
        for i in range(n)
    ]


def tiles(events: Sequence[dict[str, object]]) -> list[TileWrite]:
    """What the speed layer has of `events`."""
    return speed_writes(make_plan(activity.FEATURES).speed, {"user_events": events}, 0)


def add_model(registry: ModelRegistry, name: str, run: Path, alias: str | None = CHAMPION) -> str:
    """Register the folder `model` of `run` under `name`; returns the version."""
    version = registry.register(name, registry.record(TrainingRun(name, date(2025, 1, 1), run)), {}).version
    if alias is not None:
        registry.set_alias(name, alias, version)
    return version


class Shop:
    """Registry and store; `open` gives a client of the whole application over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry, self.store = MemoryRegistry(folder / "registry"), AsyncMemoryStore()
        self.store.store.write_tiles(tiles([*views("u1", "i1", 4), *views("u2", "i2", 2)]))
        write_small_network(folder / PURCHASE / MODEL_FOLDER)
        add_model(self.registry, PURCHASE, folder / PURCHASE)

    def add_trees(self) -> None:
        """Make small trees the champion of fraud."""
        train_small_model(self.folder / "trees" / MODEL_FOLDER, trees=5)
        add_model(self.registry, "fraud", self.folder / "trees")

    def service(self, **changes: object) -> Service:
        settings = Settings.model_validate(
            {
                "stack_dir": self.folder / "stack",
                "predict_cache_ttl_s": 0,
                "redis_timeout_ms": 10_000,
                "decision_deadline_ms": 10_000,
            }
            | changes
        )
        return make_service(settings, registry=self.registry, store=self.store, clock=lambda: AT_MS)

    @asynccontextmanager
    async def open(self, service: Service | None = None) -> AsyncIterator[httpx.AsyncClient]:
        service = service or self.service()
        app = make_app(service)
        await fraud_of(service).models.champion.refresh()
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                yield client
        finally:
            service.predictions.batcher.close()

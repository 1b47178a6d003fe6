"""How long an event takes from the API to a readable feature, from outside: Redis is asked until the tile is there."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio

from lamina.semantics.events import value_of
from lamina.semantics.plan import Plan
from lamina.store.protocol import speed_key
from lamina.store.tiles import tile_field

POLL_S = 0.005
PATIENCE_S = 60.0


@dataclass
class FreshnessProbe:
    """Waits for the finest speed tile of sampled requests. `ms` has a value a tile seen, `unseen` counts the others."""

    plan: Plan
    redis_url: str
    ms: list[float] = field(default_factory=list)
    unseen: int = 0

    def __post_init__(self) -> None:
        asked = self.plan.features.request
        self._tile_spec = min((t for t in self.plan.speed if t.source == asked), key=lambda t: t.resolution.s)
        self._redis = redis.asyncio.Redis.from_url(self.redis_url)

    async def watch(self, event: dict[str, Any], since: float) -> None:
        """Return once the tile that holds `event` can be read; `since` is when it was sent, by `time.perf_counter`."""
        key = speed_key(self._tile_spec.entity.name, str(value_of(event, self._tile_spec.entity.key)))
        at_ms = int(str(value_of(event, self._tile_spec.source.timestamp)))
        name = tile_field(self._tile_spec, self._tile_spec.start_ms(at_ms))
        while time.perf_counter() - since < PATIENCE_S:
            if await self._redis.hexists(key, name):
                self.ms.append((time.perf_counter() - since) * 1000)
                return
            await asyncio.sleep(POLL_S)
        self.unseen += 1

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

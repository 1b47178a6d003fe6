from __future__ import annotations

from datetime import date

from lamina.worlds.activity.world import ActivityWorld
from lamina.worlds.protocol import World
from tests.contract.world import WorldContract


class TestActivityWorld(WorldContract):
    system = "activity"

    def make(self, seed: int = 3) -> World:
        return ActivityWorld(seed=seed, shoppers=500, days=6, start=date(2025, 3, 1))

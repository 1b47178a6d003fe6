from __future__ import annotations

from datetime import date

from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.protocol import World
from tests.contract.world import WorldContract


class TestFraudWorld(WorldContract):
    system = "fraud"

    def make(self, seed: int = 3) -> World:
        return FraudWorld(seed=seed, users=500, days=6, start=date(2025, 3, 1))

from __future__ import annotations

from datetime import date

from lamina.worlds.protocol import World
from lamina.worlds.recommendation.world import RecommendationWorld
from tests.contract.world import WorldContract


class TestRecommendationWorld(WorldContract):
    system = "recommendation"

    def make(self, seed: int = 3) -> World:
        return RecommendationWorld(seed=seed, viewers=300, days=4, start=date(2025, 3, 1))

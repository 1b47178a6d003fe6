"""A transaction that comes again through the whole application."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from lamina.contracts.transactions import TRANSACTIONS
from serving.bootstrap import Service, make_app
from serving.systems.fraud.routes import DECISIONS, TRANSACTION
from tests.unit.serving.recognisable import Constant, KeptEvents, add_version, fraud_of
from tests.unit.serving.shop import Shop


class TestRoutes:
    """The whole application: the direct way and the framework's, and both between them."""

    @pytest.fixture
    def service(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
        shop = Shop(tmp_path)
        add_version(shop.registry, 0.25, tmp_path, "champion")
        service = shop.service()
        fraud_of(service).models.champion._load = lambda folder: Constant(0.25)
        events = KeptEvents(tmp_path)
        monkeypatch.setattr(fraud_of(service).pipeline._maker, "_events", events)
        return service

    def ask(self, service: Service, *bodies: tuple[dict[str, Any], dict[str, str]]) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            await fraud_of(service).models.champion.refresh()
            app = make_app(service)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                return [await client.post(DECISIONS, json=body, params=params) for body, params in bodies]

        return asyncio.run(run())

    @pytest.mark.parametrize("first", [{}, {"explain": "false"}])
    @pytest.mark.parametrize("second", [{}, {"explain": "false"}])
    def test_the_recorded_answer(self, service: Service, first: dict[str, str], second: dict[str, str]) -> None:
        iso = TRANSACTION | {"timestamp": "2025-01-01T00:00:49.076Z"}
        found = self.ask(service, (TRANSACTION, first), (TRANSACTION, second), (iso, second))
        assert [each.status_code for each in found] == [200] * 3
        assert found[1].content == found[0].content == found[2].content
        assert found[1].headers["x-request-id"] != found[0].headers["x-request-id"]
        kept: Any = fraud_of(service).pipeline._maker._events
        assert [topic for topic, _ in kept.kept].count(TRANSACTIONS) == 1

    @pytest.mark.parametrize("way", [{}, {"explain": "true"}])
    def test_a_conflict(self, service: Service, way: dict[str, str]) -> None:
        other = TRANSACTION | {"amount": 1.0}
        found = self.ask(service, (TRANSACTION, {}), (other, way))[1]
        assert found.status_code == 409 and found.json()["error"] == "conflict"
        assert found.json()["details"][0]["field"] == "transaction_id"
        assert str(TRANSACTION["card_token"]) not in found.text

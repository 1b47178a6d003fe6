from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from lamina.errors import ContractError
from lamina.settings import Settings
from serving.routes.admin import admin_router
from serving.served_models import Models
from serving.stages.model import ServedModel
from serving.stages.model_repository import ModelRepository
from serving.systems.fraud.admin import rules_router
from serving.systems.fraud.build import FraudSystem
from serving.systems.fraud.decide import REQUESTS
from serving.systems.fraud.rule_engine import RuleEngine
from tests.unit.serving.recognisable import Bench, add_version, load
from tests.unit.serving.stages.test_routing import write


def test_what_is_in_force(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.1, tmp_path, "champion")
    bench.start()
    app = FastAPI()
    add_version(bench.registry, 0.7, tmp_path, "champion", name="other")
    repository = ModelRepository(
        bench.registry, lambda name: ServedModel(name, bench.registry, load, tmp_path / name), {}, every_s=1
    )
    nothing = cast(Any, None)
    models, rules = Models(bench.champion, bench.routing, bench.shadows), RuleEngine(Settings().rules_file)
    fraud = FraudSystem(Settings(), REQUESTS, nothing, models, nothing, nothing, nothing, files={"rules": rules})
    app.include_router(admin_router({"fraud": fraud}, repository))
    app.include_router(rules_router(rules))

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            rules = (await client.get("/admin/rules")).json()
            assert (rules["version"], rules["problem"]) == ("2", None)
            assert {rule["code"] for rule in rules["rules"]} >= {"listed_card"} and "salt" not in str(rules)
            assert (await client.get("/admin/experiment")).json()["experiment"] is None
            write(bench)
            assert (await client.post("/admin/reload")).json() == {"rules": False, "experiment": True}
            assert (await client.post("/admin/reload")).json() == {"rules": False, "experiment": False}
            await bench.refresh()
            found = (await client.get("/admin/experiment")).json()
            assert (found["version"], found["experiment"]["name"], found["off"]) == ("2", "trees", {})
            models = (await client.get("/admin/models")).json()
            assert [(m["wanted"], m["version"]) for m in models] == [("champion", "1"), ("challenger", None)]
            assert "challenger" in models[1]["problem"]
            await repository.model("other")
            assert [m["name"] for m in (await client.get("/admin/models")).json()] == ["fraud", "fraud", "other"]
            assert (await client.get("/admin/experiment", params={"system": "fraud"})).json() == found
            with pytest.raises(ContractError, match="one of fraud"):
                await client.get("/admin/experiment", params={"system": "nobody"})

    asyncio.run(run())

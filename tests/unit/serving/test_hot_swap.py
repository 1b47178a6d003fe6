"""Models change many times while requests run: none fails, and score and version of an answer belong together."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.middleware.requests import Leaving, RequestContext
from serving.systems.fraud.routes import TRANSACTION, fraud_router
from tests.unit.serving.recognisable import Bench, add_version
from tests.unit.serving.stages.test_routing import write

SCORES = [0.01 * (n + 1) for n in range(6)]
CLIENTS, SWAPS = 4, 25


def test_swaps_under_load(tmp_path: Path) -> None:
    """Both arms of an experiment swap; singles and batches are asked for all the while, over HTTP."""
    bench = Bench(tmp_path)
    expected = {add_version(bench.registry, score, tmp_path): score for score in SCORES}
    for alias in ("champion", "challenger"):
        bench.registry.set_alias("fraud", alias, "1")
    write(bench, more="targeting: []")
    bench.file.write_text(bench.file.read_text().replace("min_decisions: 20", "max_score_gap: 1"))
    bench.start()
    app = FastAPI()
    app.include_router(fraud_router(bench.maker, bench.events, Checks(CardNumbers(()))))
    app.add_middleware(RequestContext, new_id=lambda: f"r-{random.random()}", leaving=Leaving())
    answers: list[dict[str, Any]] = []
    used: list[weakref.ref[Any]] = []
    over = False

    async def ask(number: int) -> None:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")
        async with client:
            at = 0
            while not over:
                bodies = [TRANSACTION | {"user_id": f"u-{number}-{at}-{i}"} for i in range(3)]
                at += 1
                if at % 2:
                    answer = await client.post("/fraud/decisions", json=bodies[0])
                    found = [answer.json()]
                else:
                    answer = await client.post("/fraud/decisions/batch", json=bodies)
                    found = answer.json()
                    for arm in ("old", "new"):
                        assert len({d["model_version"] for d in found if d["arm"] == arm}) <= 1, (
                            "one request, one version"
                        )
                assert answer.status_code == 200
                answers.extend(found)

    async def swap() -> None:
        nonlocal over
        rng = random.Random(7)
        for _ in range(SWAPS):
            for alias in ("champion", "challenger"):
                bench.registry.set_alias("fraud", alias, rng.choice(list(expected)))
            await bench.refresh()
            for model in (bench.champion, *bench.routing.challengers):
                assert model.current is not None
                used.append(weakref.ref(model.current.scorer))
            await asyncio.sleep(0.005)
        over = True

    async def run() -> None:
        await bench.refresh()
        await asyncio.gather(swap(), *(ask(n) for n in range(CLIENTS)))

    asyncio.run(run())
    assert {(d["fallback"], d["score"]) for d in answers} == {("none", expected[d["model_version"]]) for d in answers}
    assert all(d["score"] == expected[d["model_version"]] for d in answers)
    assert len(Counter(d["model_version"] for d in answers)) == len(expected), "every version was in service"
    assert {d["arm"] for d in answers} == {"old", "new"}
    assert len({id(one()) for one in used if one() is not None}) <= 2, "old versions are freed"

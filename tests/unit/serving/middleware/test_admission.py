"""Too many at once: the first are answered, the others told at once to come again, and afterwards all is as before."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from lamina.monitoring import metrics
from serving.middleware.admission import Admission

LIMIT = 10


class Slow:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served += 1
        if scope["path"] == "/fraud/fails":
            raise RuntimeError("on purpose")
        if scope["path"].startswith("/fraud"):
            await self.gate.wait()
        await JSONResponse({})(scope, receive, send)


def test_a_burst_of_five_times_what_fits() -> None:
    async def run() -> None:
        app = Slow()
        door = Admission(app, LIMIT)
        shed = metrics.REQUESTS_SHED._value.get()
        transport = httpx.ASGITransport(door, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            burst = [asyncio.create_task(client.post("/fraud/decisions")) for _ in range(5 * LIMIT)]
            while sum(task.done() for task in burst) < 4 * LIMIT:
                await asyncio.sleep(0)
            refused = [task.result() for task in burst if task.done()]
            assert app.served == LIMIT == door.in_flight, "the refused never reached the application"
            assert next(iter(metrics.IN_FLIGHT.collect())).samples[0].value == LIMIT
            assert {(r.status_code, r.headers["Retry-After"]) for r in refused} == {(503, "1")}
            assert refused[0].json()["error"] == "overloaded"
            # Operators are answered meanwhile; whose path only begins like theirs is not.
            for path in ("/health/live", "/health/ready", "/metrics", "/admin", "/admin/models", "/admin/reload"):
                assert (await client.get(path)).status_code == 200, path
            for path in ("/healthy", "/metricsx", "/administrator", "/adm", "/predict", "/"):
                assert (await client.get(path)).status_code == 503, path
            assert door.in_flight == LIMIT
            app.gate.set()
            answers = Counter([(await task).status_code for task in burst])
            assert answers == {200: LIMIT, 503: 4 * LIMIT}
            assert metrics.REQUESTS_SHED._value.get() == shed + 4 * LIMIT + 6
            assert [(await client.post("/fraud/decisions")).status_code for _ in range(LIMIT)] == [200] * LIMIT
            for _ in range(2 * LIMIT):
                await client.post("/fraud/fails")
            assert door.in_flight == 0, "a failure gives its place back"

    asyncio.run(run())

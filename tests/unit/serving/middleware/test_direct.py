"""The way past the framework: only for plain, valid transactions, and answered as the framework's own way does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from lamina.contracts.transactions import Transaction
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.middleware.direct import DirectRoute
from serving.systems.fraud.routes import TRANSACTION

OWN = {"request_id", "decided_at", "latency_ms", "stage_ms"}
"""What no two decisions have in common."""
JSON = {"Content-Type": "application/json"}
BODY = orjson.dumps(TRANSACTION)


async def pieces() -> AsyncIterator[bytes]:
    yield BODY[:50]
    yield BODY[50:]


@pytest.mark.parametrize(
    ("request_", "passed_by"),
    [
        ({"content": BODY, "headers": JSON}, True),
        ({"content": BODY, "headers": JSON, "params": {"explain": "false"}}, False),
        ({"content": BODY, "headers": {"Content-Type": "application/json; charset=utf-8"}}, False),
        ({"content": pieces, "headers": JSON}, False),
        ({"content": BODY[:-1], "headers": JSON}, False),
        ({"content": orjson.dumps(TRANSACTION | {"amount": "much"}), "headers": JSON}, False),
        ({"content": orjson.dumps(TRANSACTION | {"user_id": "4111111111111111"}), "headers": JSON}, False),
    ],
)
def test_only_what_is_plain_and_valid(request_: dict[str, Any], passed_by: bool) -> None:
    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def decide(transaction: Transaction, request_id: str, started_ns: int) -> bytes:
        assert (request_id, started_ns) == ("r", 0)
        return transaction.transaction_id.encode()

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"request_id": "r", "started_ns": 0}
        checks = Checks(CardNumbers({"user_id"}))
        await DirectRoute(rest, "/decide", Transaction, checks, decide)(scope, receive, send)

    async def run() -> httpx.Response:
        given: dict[str, Any] = {name: value() if value is pieces else value for name, value in request_.items()}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://api") as client:
            return await client.post("/decide", **given)

    answer = asyncio.run(run())
    assert answer.status_code == (200 if passed_by else 299)
    expected = b"txn-0001" if passed_by else request_["content"]
    assert answer.content == (BODY if expected is pieces else expected)


def test_both_ways_say_the_same(tmp_path: Path) -> None:
    settings = Settings(stack_dir=tmp_path, repeat_window_s=0)
    service = make_service(settings, registry=MemoryRegistry(tmp_path / "registry"))
    service.events._journal.open()

    async def run() -> list[httpx.Response]:
        app = make_app(service)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            ask = [{}, {"params": {"explain": "false"}}]
            return [await client.post("/fraud/decisions", json=TRANSACTION, **how) for how in ask]  # type: ignore[arg-type]

    try:
        direct, thorough = asyncio.run(run())
    finally:
        service.events._journal.close()
    assert direct.status_code == thorough.status_code == 200
    assert direct.headers["content-type"] == thorough.headers["content-type"]
    assert direct.headers["x-request-id"] == direct.json()["request_id"]
    one, other = ({k: v for k, v in answer.json().items() if k not in OWN} for answer in (direct, thorough))
    assert one == other and list(direct.json()) == list(thorough.json())

"""One table of values: every route of the API takes and refuses the same, names the field, and repeats no value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import httpx
import orjson
import pytest
from fastapi import FastAPI

from lamina.contracts.base import json_of
from lamina.contracts.fraud_decisions import Decision, served_of
from lamina.contracts.served import Served
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.definitions.fraud import FEATURES
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.currency import OneCurrency
from serving.masking import REQUEST_ID
from serving.middleware import errors
from serving.middleware.direct import DirectRoute
from serving.middleware.keys import LocalAdmin
from serving.systems.fraud.decide import FraudCase
from serving.systems.fraud.routes import DECISIONS, fraud_router
from tests.values import CASES, TRANSACTION, TRANSACTIONS, Case

JSON = {"content-type": "application/json"}
LABELS = CASES["fraud-labels"]
SECRETS = (b"4546913736785082", b"4000001234567899", b"4000-0012-3456-7899", b"1_000", b"2018-08-08T25")


ANSWER = served_of(
    Decision(
        request_id="r",
        transaction_id="t",
        user_id="u",
        merchant_id="m",
        action="approve",
        score=None,
        reasons=[],
        model_name="fraud",
        model_version=None,
        rules_version="1",
        features={},
        seen={},
        amount=1.0,
        timestamp=1_533_686_431_000,
        decided_at=1_533_686_431_000,
        latency_ms=1.0,
    )
)


class Answers:
    """Answers each request alike, and remembers what it was about."""

    def __init__(self, decided: list[Transaction]) -> None:
        self.decided = decided

    async def answer(self, case: FraudCase) -> Served:
        self.decided.append(case.event)
        return ANSWER

    async def answer_all(self, cases: list[FraudCase]) -> list[Served]:
        return [await self.answer(case) for case in cases]


class Door:
    """The routes under `/fraud` before a decision maker and an event log that remember what came through."""

    def __init__(self) -> None:
        self.decided: list[Transaction] = []
        self.published: list[bytes] = []
        app = FastAPI()
        checks = Checks(CardNumbers(()), OneCurrency("EUR"))
        app.include_router(fraud_router(cast(Any, Answers(self.decided)), cast(Any, self), checks))
        errors.install(app)
        self.app = _WithState(LocalAdmin(DirectRoute(app, DECISIONS, Transaction, checks, self.answer)))

    async def answer(self, transaction: Transaction, request_id: str, started_ns: int) -> bytes:
        self.decided.append(transaction)
        return b"{}"

    def publish(self, topic: str, key: str, value: bytes) -> None:
        self.published.append(value)


class _WithState:
    """What `RequestContext` does for those behind it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        REQUEST_ID.set("r")
        scope["state"] = {"request_id": "r", "started_ns": 0}
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    yield Door()


def post(door: Door, path: str, body: bytes) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(door.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.post(path, content=body, headers=JSON)

    return asyncio.run(ask())


def check(answer: httpx.Response, case: Case) -> None:
    if case.door:
        assert answer.is_success, answer.text
        return
    assert answer.status_code == 422, answer.text
    details = answer.json()["details"]
    assert details and all(d["field"] and d["message"] for d in details)
    if case.json and details[0]["field"] != "body":
        assert case.field in details[0]["field"]
    assert not any(secret in answer.content for secret in SECRETS)


@pytest.mark.parametrize("case", TRANSACTIONS, ids=str)
def test_decisions(door: Door, case: Case) -> None:
    """Past the framework, by it, and several at once."""
    door.decided.clear()
    for path, body in (
        (DECISIONS, case.raw),
        (f"{DECISIONS}?explain=true", case.raw),
        (f"{DECISIONS}/batch", b"[" + case.raw + b"]"),
    ):
        check(post(door, path, body), case)
    assert len(door.decided) == (3 if case.door else 0)
    assert len({json_of(vars(t)) for t in door.decided}) <= 1, "each way in reads the same"


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [
        (DECISIONS, b"[]", "a JSON object"),
        (DECISIONS, b"null", "JSON"),
        (f"{DECISIONS}/batch", b'{"transactions": []}', "a JSON array"),
        ("/fraud/labels", b'"t-1"', "a JSON object"),
    ],
)
def test_a_body_of_another_shape_is_told_what_to_be(door: Door, path: str, body: bytes, shape: str) -> None:
    answer = post(door, path, body)
    assert answer.status_code == 422
    assert answer.json()["details"] == [
        {"field": "body", "message": f"must be {shape}, with `Content-Type: application/json`"}
    ]


def test_another_currency_is_refused_on_every_way_in(door: Door) -> None:
    door.decided.clear()
    dollars = orjson.dumps({**TRANSACTION, "currency": "USD"})
    for path, body in (
        (DECISIONS, dollars),
        (f"{DECISIONS}?explain=true", dollars),
        (f"{DECISIONS}/batch", b"[" + dollars + b"]"),
    ):
        answer = post(door, path, body)
        assert answer.status_code == 422
        [detail] = answer.json()["details"]
        assert detail["field"] == "currency" and "EUR" in detail["message"]
    assert not door.decided


@pytest.mark.parametrize("case", LABELS, ids=str)
def test_labels(door: Door, case: Case) -> None:
    door.published.clear()
    check(post(door, "/fraud/labels", case.raw), case)
    assert len(door.published) == case.door
    for raw in door.published:
        assert FraudLabel.from_json(raw).to_json() == raw, "what is published keeps the contract on its topic"


CONTEXT = ("amount", "card_token", "merchant_category", "country", "currency", "transaction_type", "location")


@pytest.mark.parametrize("case", [c for c in TRANSACTIONS if c.field in CONTEXT and c.json], ids=str)
def test_questions(case: Case) -> None:
    """A question's context has the columns of a transaction, and is held to them; what it leaves out is missing."""
    from pydantic import ValidationError

    from lamina.contracts.predictions import OneQuestion
    from lamina.errors import ContractError
    from lamina.scoring.questions import QuestionForm

    form = QuestionForm(FEATURES, ("amount_to_mean",))
    body = b'{"user_id":"u","item_id":"m","context":{"amount":1.5,"%s":%s}}' % (case.field.encode(), case.json)
    try:
        form.row(OneQuestion.model_validate_json(body), id="r", at_ms=1_533_686_431_000)
        taken = True
    except (ContractError, ValidationError):
        taken = False
    if case.json != b"null" or case.field == "amount":
        assert taken == case.door


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/fraud/labels", "GET", 405), (DECISIONS, "PUT", 405)]
)
def test_what_no_route_takes_is_told_why(door: Door, path: str, method: str, status: int) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(door.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path)

    answer = asyncio.run(ask())
    assert answer.status_code == status
    [detail] = answer.json()["details"]
    assert detail["field"] and detail["message"]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"amount": ' + b"9" * 10_000 + b"}", "{}".encode("utf-16"), b"\xff", b"{}" + b" " * 9]
)
def test_bodies_that_cannot_be_read(door: Door, body: bytes) -> None:
    for path in (DECISIONS, f"{DECISIONS}?explain=true", "/fraud/labels"):
        answer = post(door, path, body)
        assert answer.status_code in (400, 422)
        assert all(d["field"] and d["message"] for d in answer.json()["details"]) and answer.json()["details"]
    assert orjson.loads(answer.content)["request_id"] == "r"

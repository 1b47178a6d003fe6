"""The client against the application itself, and against servers that answer as one on the way may."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from lamina.client import ApiError, ApiUnreachable, Client
from lamina.contracts.base import Event
from lamina.contracts.feedback import FeedbackGiven
from lamina.contracts.predictions import ManyQuestions, OneQuestion, Question
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving import client_code
from serving.bootstrap import make_app, make_service
from serving.routes.feedback import REJECTED
from serving.systems.fraud.routes import LABEL, TRANSACTION
from tests.unit.serving.in_process import InProcess
from tests.unit.serving.recognisable import AsyncMemoryStore

PAYMENT = Transaction.model_validate(TRANSACTION)
QUESTION = OneQuestion(user_id="u1", item_id="i1", model="nobody")


def test_the_calls_are_those_of_the_routes() -> None:
    assert client_code.current() == client_code.TARGET.read_text(), "run `make client`"


def test_a_route_without_a_contract_of_its_answer_is_named() -> None:
    app = FastAPI()
    app.add_api_route("/parking/stays", lambda: None, methods=["POST"], tags=["parking"], response_model=None)
    with pytest.raises(client_code.AnswerWithoutContract, match=r"/parking/stays .* give it a response_model"):
        client_code.code(app)


class Stays(Event):
    """What an invented route answers."""

    of: str
    longest_h: int


def test_a_route_without_a_body_is_called_by_its_path() -> None:
    """As the calls of today are, it is run: what stands in the path is one part of it, and the query says what differs
    from what the API takes for said.
    """

    def stays(plate: str, longest_h: int = 8, town: str | None = None, mine: bool = False) -> Stays:
        raise NotImplementedError

    app = FastAPI()
    app.add_api_route("/parking/{plate}/stays", stays, tags=["parking"], response_model=Stays, summary="Stays of a car")
    code = client_code.code(app)
    assert "def stays(self, plate: str, *, longest_h: int = 8, town: str | None = None, mine: bool = False)" in code
    server = Server(BUSY, says(200, {"of": "A/1", "longest_h": 3}), says(200, {"of": "b", "longest_h": 8}))
    made: dict[str, Any] = {"Stays": Stays}
    exec(code.replace(f"from {__name__} import Stays\n", ""), made)
    with server.client() as client:
        parking = made["Sections"](client._session).parking
        assert parking.stays("A/1", longest_h=3, mine=True) == Stays(of="A/1", longest_h=3)
        assert parking.stays("b").longest_h == 8
    assert [str(each.url) for each in server.asked] == [
        "http://api/parking/A%2F1/stays?longest_h=3&mine=true",
        "http://api/parking/A%2F1/stays?longest_h=3&mine=true",
        "http://api/parking/b/stays?longest_h=8",
    ]
    first, again, other = (each.headers["X-Request-ID"] for each in server.asked)
    assert first == again != other
    assert all(each.method == "GET" and not each.content for each in server.asked)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Of a service without models, whose events stay in the journal."""
    service = make_service(
        Settings(stack_dir=tmp_path), registry=MemoryRegistry(tmp_path / "registry"), store=AsyncMemoryStore()
    )
    service.events._journal.open()
    return Client("http://api", transport=InProcess(make_app(service)))


def test_feedback_of_one_and_of_many(client: Client) -> None:
    told = FeedbackGiven.model_validate(REJECTED)
    with client as lamina:
        assert lamina.feedback.send(told).accepted == "case-0007"
        found = lamina.feedback.send_batch([told, told.model_copy(update={"action": "share"})])
        assert (found.accepted, found.refused) == (1, 1)
        assert (found.events[0].accepted, found.events[1].field) == ("case-0007", "action")
        with pytest.raises(ApiError, match="source"):
            lamina.feedback.send(told.model_copy(update={"source": "hearsay"}))


def test_decisions_and_labels(client: Client) -> None:
    with client as lamina:
        decision = lamina.fraud.decide(PAYMENT)
        assert (decision.transaction_id, decision.fallback) == ("txn-0001", "rules_only_no_model")
        assert decision.features == {}
        other = PAYMENT.model_copy(update={"transaction_id": "txn-0002"})
        assert lamina.fraud.decide(other, explain=True).features
        many = [PAYMENT.model_copy(update={"transaction_id": f"many-{i}"}) for i in range(3)]
        assert [each.transaction_id for each in lamina.fraud.decide_batch(many)] == ["many-0", "many-1", "many-2"]
        assert lamina.fraud.label(FraudLabel.model_validate(LABEL)).accepted == "txn-0001"


def test_an_error_says_what_was_wrong(client: Client) -> None:
    with client as lamina:
        with pytest.raises(ApiError) as raised:
            lamina.predict.predict(QUESTION)
        assert (raised.value.status, raised.value.error) == (404, "unknown_model")
        assert raised.value.details[0].field == "model" and raised.value.request_id
        with pytest.raises(ApiError, match=r"404 unknown_model \(model: "):
            lamina.predict.predict_batch(ManyQuestions(model="nobody", rows=[Question(user_id="u", item_id="i")]))


Answer = Callable[[httpx.Request], httpx.Response]


class Server:
    """Gives one answer after the other and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers.pop(0)(request)

    def client(self, **options: str) -> Client:
        return Client("http://api", transport=httpx.MockTransport(self), **options)


def says(status: int, content: object = None, **headers: str) -> Answer:
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    return lambda _: httpx.Response(status, content=raw, headers=headers)


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)


BUSY = says(503, {"error": "overloaded", "request_id": "r1", "details": []}, **{"Retry-After": "0"})
DONE = says(202, {"accepted": "txn-0001", "said_by_a_newer_server": 1})
A_LABEL = FraudLabel.model_validate(LABEL)


@pytest.mark.parametrize("first", [BUSY, silent, says(502, b"<html>"), says(429, b"", **{"Retry-After": "0"})])
def test_what_may_succeed_a_moment_later_is_sent_again(first: Answer) -> None:
    server = Server(first, first, DONE)
    assert server.client(api_key="key").fraud.label(A_LABEL).accepted == "txn-0001"
    assert [request.content for request in server.asked] == [A_LABEL.to_json()] * 3
    assert {request.headers["X-API-Key"] for request in server.asked} == {"key"}
    assert {request.headers["X-API-Version"] for request in server.asked} == {"1"}
    assert {request.url.query for request in server.asked} == {b""}


def test_after_three_attempts_it_is_the_callers() -> None:
    with pytest.raises(ApiError, match=r"503 overloaded, request r1"):
        Server(BUSY, BUSY, BUSY, DONE).client().fraud.label(A_LABEL)
    with pytest.raises(ApiUnreachable, match=r"http://api does not answer: ReadTimeout"):
        Server(silent, silent, silent, DONE).client().fraud.label(A_LABEL)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (says(409, {"error": "conflict", "request_id": "r", "details": []}), "409 conflict, request r"),
        (says(500, b"oops", **{"X-Request-ID": "r7"}), "500 Internal Server Error, request r7"),
        (says(401, [1]), "401 Unauthorized, request without an id"),
    ],
)
def test_what_will_not_succeed_is_sent_once(answer: Answer, expected: str) -> None:
    with pytest.raises(ApiError) as raised:
        Server(answer, DONE).client().fraud.label(A_LABEL)
    assert str(raised.value) == expected


def test_an_error_of_a_newer_server_keeps_its_details() -> None:
    detail = {"field": "amount", "message": "is missing", "said_by_a_newer_server": 1}
    answer = says(400, {"error": "invalid_request", "request_id": "r", "details": [detail], "more": 1})
    with pytest.raises(ApiError, match=r"400 invalid_request \(amount: is missing\), request r"):
        Server(answer).client().fraud.label(A_LABEL)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_asked_without_a_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy, socket.create_server(("127.0.0.1", 0)) as api:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with (
            Client(f"http://127.0.0.1:{api.getsockname()[1]}", timeout_s=0.8) as lamina,
            pytest.raises(ApiUnreachable),
        ):
            lamina.fraud.label(A_LABEL)
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()
        api.settimeout(1)
        api.accept()[0].close()


def test_what_is_no_api_of_ours_is_told_apart() -> None:
    with pytest.raises(ApiUnreachable, match="no API of this version"):
        Server(says(200, {"hello": 1})).client().fraud.label(A_LABEL)

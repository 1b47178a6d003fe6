"""Slow clients against a real server on real sockets: they keep their own connection, and nothing more."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from serving.middleware.admission import Admission
from serving.middleware.bodies import Bodies
from serving.middleware.keys import ApiKey, KeyCheck
from serving.middleware.requests import Leaving, RequestContext
from serving.server import TimelyProtocol
from tests.unit.serving.middleware.test_keys import SHOP, SHOP_LINE, digest, written

LIMIT, ARRIVAL_S = 5, 0.6
HEAD = "POST /fraud/decisions HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how long the body was, in how many messages, and how old the request is in its own eyes."""
    size = messages = 0
    while True:
        message = await receive()
        size, messages = size + len(message.get("body", b"")), messages + 1
        if not message.get("more_body", False):
            break
    age_s = (time.perf_counter_ns() - scope["state"]["started_ns"]) / 1e9
    await JSONResponse({"size": size, "messages": messages, "age_s": age_s})(scope, receive, send)


def stacked(app: ASGIApp, *, max_bytes: int = 100_000, arriving_bytes: int = 10**6) -> ASGIApp:
    """In the order of the service."""
    bounded = Admission(app, LIMIT)
    bodies = Bodies(bounded, max_bytes=max_bytes, timeout_s=ARRIVAL_S, arriving_bytes=arriving_bytes)
    return RequestContext(bodies, new_id=lambda: "r", leaving=Leaving())


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    """The port of a real server."""
    protocol = TimelyProtocol.within(ARRIVAL_S)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", http=protocol))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def connected(port: int, sent: str | bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sent.encode() if isinstance(sent, str) else sent)
    return made


def answer(found: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body of what comes until the server closes."""
    raw = b""
    while part := found.recv(65536):
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, json.loads(body)


def test_silent_clients_take_nobodys_place() -> None:
    """Ten times as many as are admitted send headers and no body; everybody else is answered all the while."""
    slow = metrics.BODIES_TOO_SLOW._value.get()
    with serving(stacked(echo)) as port, ExitStack() as open_:
        began = time.monotonic()
        silent = [connected(port, HEAD + "Content-Length: 50\r\n\r\n") for _ in range(10 * LIMIT)]
        for each in silent:
            open_.enter_context(each)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            while time.monotonic() - began < ARRIVAL_S / 2:
                assert client.post("/fraud/decisions", content=b"x" * 20).status_code == 200
        for each in silent:
            status, headers, body = answer(each)
            assert (status, body["error"], headers["connection"]) == (408, "body_too_slow", "close")
        assert time.monotonic() - began < 10 * ARRIVAL_S, "all of them at once"
    assert metrics.BODIES_TOO_SLOW._value.get() == slow + 10 * LIMIT


def test_drops_do_not_extend_the_time() -> None:
    with serving(stacked(echo)) as port:
        began = time.monotonic()
        with connected(port, HEAD + "Transfer-Encoding: chunked\r\n\r\n") as dripping:
            dripping.settimeout(0.05)
            while time.monotonic() - began < 5:
                try:
                    dripping.sendall(b"1\r\nx\r\n")
                    dripping.recv(1)
                    break
                except TimeoutError:
                    continue
            assert ARRIVAL_S * 0.9 < time.monotonic() - began < 4


def test_the_next_request_that_comes_slowly_does_not_cut_off_the_answer_before() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(2.5 * ARRIVAL_S)
        await echo(scope, receive, send)

    whole = HEAD + "Content-Length: 2\r\n\r\nab"
    with serving(stacked(slow)) as port, connected(port, whole + "POST /fraud") as found:
        status, headers, _ = answer(found)
        assert status == 200 and headers["content-length"], "and closed then, as the next never came"


def test_a_body_in_pieces_is_handed_on_whole_and_is_not_older_for_it() -> None:
    with (
        serving(stacked(echo)) as port,
        connected(port, HEAD + "Content-Length: 6\r\nConnection: close\r\n\r\n") as found,
    ):
        for _ in range(3):
            time.sleep(0.1)
            found.sendall(b"ab")
        status, _, body = answer(found)
    assert (status, body["size"], body["messages"]) == (200, 6, 1)
    assert body["age_s"] < 0.15, "the client's time is not the service's"


@pytest.mark.parametrize("length", ["Content-Length: 2000", "Transfer-Encoding: chunked"])
def test_too_long_a_body(length: str) -> None:
    head = HEAD + "Connection: close\r\n" + length + "\r\n\r\n"
    with serving(stacked(echo, max_bytes=1000)) as port, connected(port, head) as found:
        if "chunked" in length:
            found.sendall(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
        status, _, body = answer(found)
    assert (status, body["error"]) == (413, "too_large")


def test_who_is_still_sending_is_told_that_it_is_too_much() -> None:
    with serving(stacked(echo)) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for content in (b"x" * 3_000_000, (b"x" * 1000 for _ in range(3000))):
            assert client.post("/fraud/decisions", content=content).status_code == 413
        assert client.post("/fraud/decisions", content=b"x" * 1000).status_code == 200


def test_what_arrives_of_all_together_is_bounded() -> None:
    with serving(stacked(echo, arriving_bytes=3000)) as port, ExitStack() as open_:
        half = HEAD + "Content-Length: 2000\r\n\r\n"
        first = [open_.enter_context(connected(port, half.encode() + b"x" * 1000)) for _ in range(2)]
        time.sleep(0.2)
        with connected(port, half.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode() + b"x" * 1500) as more:
            status, headers, body = answer(more)
            assert (status, body["error"], headers["retry-after"]) == (503, "overloaded", "1")
        first[0].sendall(b"x" * 1000)
        assert b"200 OK" in first[0].recv(100)
        answer(first[1])
        # Given back, whatever became of each.
        with connected(port, half.encode() + b"x" * 2000) as later:
            assert b"200 OK" in later.recv(100)


@pytest.mark.parametrize("sent", ["", "POST /fraud/decisions HTTP/1.1\r\nHost:"])
def test_a_connection_without_a_request_is_closed(sent: str) -> None:
    with serving(stacked(echo)) as port, connected(port, sent) as silent:
        began = time.monotonic()
        assert silent.recv(100) == b""
        assert ARRIVAL_S * 0.9 < time.monotonic() - began < 10 * ARRIVAL_S


def test_the_headers_of_a_later_request_have_their_time_as_well() -> None:
    with serving(stacked(echo)) as port, connected(port, HEAD + "Content-Length: 2\r\n\r\nab") as found:
        assert b"200 OK" in found.recv(1000)
        time.sleep(2 * ARRIVAL_S)
        found.sendall(b"POST /fraud/decisions HTTP/1.1\r\n")
        began = time.monotonic()
        assert found.recv(100) == b"", "idle it may be for long, half a request not"
        assert time.monotonic() - began < 10 * ARRIVAL_S


def test_a_client_that_goes_away_asks_for_nothing() -> None:
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])

    async def run() -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": b"ab", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            raise AssertionError("there is nobody to answer")

        door = Bodies(app, max_bytes=10, timeout_s=1, arriving_bytes=10)
        await door({"type": "http", "headers": [(b"content-length", b"5")], "path": "/"}, receive, send)
        assert door.held == 0

    asyncio.run(run())
    assert asked == []


def test_an_end_while_a_body_arrives_is_an_end_and_no_answer() -> None:
    """Only its own clock makes it answer 408: the server's end cancels requests, too."""

    async def run() -> None:
        never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        async def receive() -> Message:
            return await never

        async def send(message: Message) -> None:
            raise AssertionError("there is nobody to answer")

        door = Bodies(echo, max_bytes=10, timeout_s=30, arriving_bytes=10)
        scope: Scope = {"type": "http", "headers": [(b"content-length", b"5")], "path": "/"}
        task = asyncio.create_task(door(scope, receive, send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_key_has_so_many_at_once_those_that_arrive_among_them() -> None:
    """One client's silent connections are counted on its own account, and no other's."""
    other = "other-secret-0123456789"
    keys = (
        ApiKey(name="shop", sha256=digest(SHOP), scopes=frozenset({"decide"}), at_once=3),
        ApiKey(name="other", sha256=digest(other), scopes=frozenset({"decide"})),
    )
    inner = Bodies(Admission(echo, LIMIT), max_bytes=1000, timeout_s=ARRIVAL_S, arriving_bytes=10**6)
    app = RequestContext(KeyCheck(inner, keys), new_id=lambda: "r", leaving=Leaving())
    limited = metrics.CONCURRENCY_LIMITED.labels("shop")._value.get()
    with serving(app) as port, ExitStack() as open_, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def ask(key: str) -> httpx.Response:
            return client.post("/fraud/decisions", content=b"ab", headers={"X-API-Key": key})

        silent = HEAD + f"X-API-Key: {SHOP}\r\nContent-Length: 5\r\n\r\n"
        held = [open_.enter_context(connected(port, silent)) for _ in range(3)]
        time.sleep(0.2)
        refused = ask(SHOP)
        assert (refused.status_code, refused.json()["error"]) == (429, "too_many_at_once")
        assert refused.headers["Retry-After"] == "1"
        assert ask(other).status_code == 200
        assert [answer(each)[0] for each in held] == [408] * 3
        assert [ask(SHOP).status_code for _ in range(5)] == [200] * 5, "given back, whatever became of them"
    assert metrics.CONCURRENCY_LIMITED.labels("shop")._value.get() == limited + 1


@pytest.mark.parametrize("keys", [False, True])
def test_the_whole_application_has_them_in_this_order(tmp_path: Path, keys: bool) -> None:
    more: dict[str, Any] = {
        "api_keys_file": written(tmp_path, SHOP_LINE.replace("per_second: 2, burst: 3", "at_once: 50"))
    }
    settings = Settings(
        stack_dir=tmp_path, api_max_in_flight=LIMIT, api_arrival_timeout_s=2 * ARRIVAL_S, **(more if keys else {})
    )
    app = make_app(make_service(settings, registry=MemoryRegistry(tmp_path)))
    with serving(app) as port, ExitStack() as open_:
        head = HEAD + f"X-API-Key: {SHOP}\r\nContent-Length: 50\r\n\r\n"
        silent = [open_.enter_context(connected(port, head)) for _ in range(5 * LIMIT)]
        time.sleep(0.2)
        url = f"http://127.0.0.1:{port}/fraud/decisions"
        assert httpx.post(url, json={}, headers={"X-API-Key": SHOP}).status_code == 422, "let in, read, and wrong"
        assert {answer(each)[0] for each in silent} == {408}

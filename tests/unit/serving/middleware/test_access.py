"""Denied by default: what is not listed needs the most, and what is local cannot be pretended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from serving.middleware import access
from serving.middleware.access import OPEN, AccessError, check_routes, needed
from serving.middleware.keys import KeyCheck, LocalAdmin, load_keys
from tests.unit.serving.middleware.test_keys import OFFICE, OFFICE_LINE, SHOP, SHOP_LINE, digest, written

SCRAPER = "scraper-secret-0123456789"
SCRAPER_LINE = f"{{name: scraper, sha256: {digest(SCRAPER)}, scopes: [metrics]}}"


def ask(
    app: ASGIApp, path: str, *, client: str = "127.0.0.1", host: str = "api", headers: dict[str, str] | None = None
) -> int:
    async def run() -> int:
        transport = httpx.ASGITransport(app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as asking:
            return (await asking.get(path, headers=headers)).status_code

    return asyncio.run(run())


def with_keys(folder: Path) -> KeyCheck:
    return KeyCheck(JSONResponse({}), load_keys(written(folder, SHOP_LINE, OFFICE_LINE, SCRAPER_LINE)))


@pytest.mark.parametrize(
    "path",
    ["/anything", "/health", "/health/", "/healthy", "/docs/", "/docsx", "/redoc", "/Admin", "/fraudulent"],
)
def test_what_is_not_listed_needs_an_admins_key(tmp_path: Path, path: str) -> None:
    app = with_keys(tmp_path)
    assert needed(path) == "admin"
    assert ask(app, path) == 401
    assert ask(app, path, headers={"X-API-Key": SHOP}) == 403
    assert ask(app, path, headers={"X-API-Key": OFFICE}) == 200


def test_the_list_of_what_is_open_is_short(tmp_path: Path) -> None:
    assert OPEN == {"/", "/health/live", "/health/ready", "/docs", "/openapi.json"}
    app = with_keys(tmp_path)
    for path in (*OPEN, "/docs/assets/swagger-ui.css"):
        assert ask(app, path, client="10.0.0.7") == 200, path
    assert needed("/docs/assets/../../admin/rules") == "admin"


def test_a_route_that_states_no_right_does_not_start() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_api_route("/fraud/decisions", lambda: None)
    app.add_api_route("/admin/{name}", lambda: None)
    check_routes(app.routes)
    app.add_api_route("/export", lambda: None)
    with pytest.raises(AccessError, match="/export says not who may ask for it"):
        check_routes(app.routes)


def test_every_route_of_the_service_states_its_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(Settings(stack_dir=tmp_path), registry=MemoryRegistry(tmp_path))
    make_app(service)
    left = tuple(stated for stated in access.RIGHTS if stated[0] != "/predict")
    monkeypatch.setattr("serving.middleware.access.RIGHTS", left)
    with pytest.raises(AccessError, match="/predict says not"):
        make_app(service)


def test_metrics_are_for_this_machine_and_for_keys_that_may(tmp_path: Path) -> None:
    app = with_keys(tmp_path)
    assert ask(app, "/metrics") == 200
    assert ask(app, "/metrics", client="10.0.0.7") == 401
    assert ask(app, "/metrics", headers={"X-Forwarded-For": "10.0.0.7"}) == 401
    assert ask(app, "/metrics", client="10.0.0.7", headers={"X-API-Key": SHOP}) == 403
    assert ask(app, "/metrics", client="10.0.0.7", headers={"X-API-Key": SCRAPER}) == 200
    assert ask(LocalAdmin(JSONResponse({})), "/metrics") == 200
    assert ask(LocalAdmin(JSONResponse({})), "/metrics", client="10.0.0.7") == 403


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("metrics.example", True),
    ],
)
def test_metrics_are_open_when_it_was_said(tmp_path: Path, host: str, is_open: bool) -> None:
    settings = Settings(stack_dir=tmp_path, metrics_host=host)
    app = make_app(make_service(settings, registry=MemoryRegistry(tmp_path)))
    assert ask(app, "/metrics", client="10.0.0.7") == (200 if is_open else 403)
    file = written(tmp_path, SHOP_LINE, OFFICE_LINE)
    settings = Settings(stack_dir=tmp_path, metrics_host=host, api_keys_file=file)
    app = make_app(make_service(settings, registry=MemoryRegistry(tmp_path)))
    assert ask(app, "/metrics", client="10.0.0.7") == (200 if is_open else 401)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-Forwarded-Proto",
            "Forwarded",
            "Via",
            "X-Real-IP",
            "True-Client-IP",
        ),
        *("CF-Connecting-IP", "X-Client-IP"),
    ],
)
@pytest.mark.parametrize("path", ["/admin/rules", "/fraud/labels", "/metrics", "/anything"])
def test_what_a_proxy_on_this_machine_hands_on_is_not_local(path: str, header: str) -> None:
    app = LocalAdmin(JSONResponse({}))
    assert ask(app, path) == 200
    # Also when it claims to come from here: whoever asks from afar may write what he likes.
    for value in ("10.0.0.7", "127.0.0.1", ""):
        assert ask(app, path, headers={header: value}) == 403
    assert ask(app, "/fraud/decisions", headers={header: "10.0.0.7"}) == 200


@pytest.mark.parametrize(("version", "status"), [("1.0", 403), ("1.1", 200), ("2", 200)])
def test_nginx_without_a_word_about_headers_is_not_local(version: str, status: int) -> None:
    """Its `proxy_pass http://127.0.0.1:8000` alone adds no header and asks by that name, in HTTP/1.0."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        await LocalAdmin(JSONResponse({}))(dict(scope) | {"http_version": version}, receive, send)

    assert ask(proxied, "/admin/rules", host="127.0.0.1:8000") == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("shop.example", 403),
        ("10.0.0.7:80", 403),
    ],
)
def test_a_page_of_another_in_a_browser_here_is_not_local(host: str, status: int) -> None:
    assert ask(LocalAdmin(JSONResponse({})), "/admin/rules", host=host) == status


@pytest.mark.parametrize(
    ("client", "status"),
    [("127.0.0.1", 200), ("127.8.0.1", 200), ("::ffff:127.0.0.1", 200), ("::ffff:10.0.0.7", 403), ("testclient", 403)],
)
def test_addresses(client: str, status: int) -> None:
    assert ask(LocalAdmin(JSONResponse({})), "/admin/rules", client=client) == status


@pytest.mark.parametrize("keys", [True, False])
def test_other_kinds_of_connections_have_no_rights(tmp_path: Path, keys: bool) -> None:
    sent: list[Message] = []

    async def inner(*_: object) -> None:
        raise AssertionError("not let through")

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = KeyCheck(inner, load_keys(written(tmp_path, SHOP_LINE))) if keys else LocalAdmin(inner)
    scope = {"type": "websocket", "path": "/admin", "headers": [], "client": ("127.0.0.1", 1)}
    asyncio.run(app(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]

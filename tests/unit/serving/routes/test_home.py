"""The first page and the documentation: there, linked to what is there, and nothing of them from elsewhere."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service

BASE = "http://localhost"
LINK = re.compile(r"""(?:href|src)=["']([^"']+)["']""")


def get(folder: Path, *paths: str) -> list[httpx.Response]:
    app = make_app(make_service(Settings(stack_dir=folder, redis_timeout_ms=1), registry=MemoryRegistry(folder)))

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_and_all_that_it_loads(tmp_path: Path, path: str) -> None:
    (page,) = get(tmp_path, path)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    links = LINK.findall(page.text)
    assert len(links) >= 3
    assert not re.search(r"https?://", page.text), "nothing from elsewhere"
    for link, answer in zip(links, get(tmp_path, *(urljoin(f"{BASE}{path}", link) for link in links)), strict=True):
        # Nothing is connected to anything here: unready is an answer.
        assert answer.status_code in ((200, 503) if "ready" in link else (200,)), link
        assert answer.content


def test_a_browser_is_led_to_the_console_and_to_sign_in_before(tmp_path: Path) -> None:
    app = make_app(make_service(Settings(stack_dir=tmp_path), registry=MemoryRegistry(tmp_path)))

    async def run() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=browser) as client:
            first = await client.get("/")
            form = await client.get("/", follow_redirects=True)
            where = {"to": form.url.params["to"], "name": "ann"}
            return first, form, await client.post(form.url.path, data=where, follow_redirects=True)

    first, form, signed_in = asyncio.run(run())
    assert (first.status_code, first.headers["location"], first.headers["vary"]) == (303, "/console/", "Accept")
    assert form.url.path == "/console/sign-in" and 'href="/docs"' in form.text
    assert signed_in.url.path == "/console/" and "<h1>Overview</h1>" in signed_in.text


def test_a_program_reads_what_there_is(tmp_path: Path) -> None:
    (page,) = get(tmp_path, "/")
    assert "/openapi.json" in page.text and page.headers["vary"] == "Accept"


def test_the_documentation_reads_this_applications_description(tmp_path: Path) -> None:
    docs, described = get(tmp_path, "/docs", "/openapi.json")
    assert re.search(r"url: ['\"]openapi\.json['\"]", docs.text)
    assert "/fraud/decisions" in described.json()["paths"]
    assert not {"/", "/docs"} & set(described.json()["paths"])


def test_the_first_page_names_what_each_system_is_asked_for(tmp_path: Path) -> None:
    page, described = get(tmp_path, "/", "/openapi.json")
    named = dict(re.findall(r"<tr><td><code>([^<]+)</code></td><td>([^<]+)</td></tr>", page.text))
    posted = {path: of["post"] for path, of in described.json()["paths"].items() if "post" in of}
    assert named == {path: of["summary"] for path, of in posted.items() if not path.startswith("/admin")}
    assert named["/fraud/decisions"] == "Decide on a transaction"


def test_files_are_those_of_a_list(tmp_path: Path) -> None:
    script, style, other, above = get(
        tmp_path,
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
        "/docs/assets/__init__.py",
        "/docs/assets/..%2f__init__.py",
    )
    assert script.headers["content-type"].startswith("text/javascript") and len(script.content) > 500_000
    assert style.headers["content-type"].startswith("text/css")
    assert (other.status_code, above.status_code) == (404, 404)

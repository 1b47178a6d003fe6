"""Who gets in and what he may do there, over HTTP; what a browser makes of it is in `tests/e2e/test_console.py`."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from itsdangerous import TimestampSigner

from lamina.monitoring import metrics
from lamina.reviews import audit, reading
from lamina.reviews.errors import ReviewsUnavailable
from lamina.streams import dead_letters
from serving.console import sights
from serving.console.people import COOKIE, TRIES
from tests.console_site import KEYS, Site

PAGES = ("/", "/queue", "/models", "/measured", "/runs", "/dead-letters", "/audit", "/cases/1")
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, site: Site, address: str = "127.0.0.1", base_url: str = "http://localhost") -> None:
        transport = httpx.ASGITransport(site.app, client=(address, 5000))
        self.http, self._site = httpx.AsyncClient(transport=transport, base_url=base_url), site

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._site.runner.run(self.http.request(method, path, **more))

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", f"/console{path}")

    def sign_in(self, name: str, **more: str) -> httpx.Response:
        key = KEYS[name][0] if name in KEYS else name
        return self.ask("POST", "/console/sign-in", data={"key": key, "name": name} | more)

    def post(self, path: str, token: str | None = None, **form: str) -> httpx.Response:
        if token is None:
            found = TOKEN.search(self.get("/queue").text)
            token = found.group(1) if found else ""
        return self.ask("POST", f"/console{path}", data={"form_token": token} | form)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # No Kafka listens, and nobody has to wait for it as long as a person would.
    monkeypatch.setattr(dead_letters, "ANSWER_S", 0.5)
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def ann(site: Site) -> Browser:
    browser = Browser(site)
    assert browser.sign_in("ann").status_code == 303
    return browser


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static-not", "/parts/overview"])
def test_without_a_session_nothing_is_shown(site: Site, path: str) -> None:
    answer = Browser(site).get(path)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/console/sign-in?to=")


@pytest.mark.parametrize("path", ["/queue/next", "/cases/1/take", "/cases/1/verdict", "/cases/1/undo", "/sign-out"])
def test_without_a_session_nothing_is_done(site: Site, path: str) -> None:
    assert Browser(site).post(path, "x", verdict="approve").status_code == 303
    assert [entry.action for entry in audit.entries(site.queue.database)] == ["open"] * 3


@pytest.mark.parametrize("path", PAGES)
def test_every_page_and_what_it_says_of_itself(ann: Browser, path: str) -> None:
    page = ann.get(path)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"""(?:src|href)=["']https?://(?!127\.0\.0\.1)""", page.text), "nothing from elsewhere"
    assert not re.search(r"<script(?! src)|<style| style=| on\w+=", page.text), "the policy would stop it"
    assert page.text.count("<h1>") == 1 and '<html lang="en">' in page.text


@pytest.mark.parametrize("path", ["/", "/measured", "/models"])
def test_what_is_not_there_is_said(ann: Browser, path: str) -> None:
    found = {"/": "Open", "/measured": "nothing measured yet", "/models": "No version is registered"}
    assert found[path] in ann.get(path).text


@pytest.mark.parametrize("path", ["/runs", "/dead-letters"])
def test_what_does_not_answer_is_said_in_a_sentence(ann: Browser, path: str) -> None:
    assert 'role="alert"' in ann.get(path).text


def test_the_cookie_is_for_the_console_alone(site: Site) -> None:
    cookie = Browser(site).sign_in("ann").headers["set-cookie"]
    assert {"HttpOnly", "Path=/console", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Secure" not in cookie, "over plain HTTP it would not come back"


def test_over_tls_the_cookie_stays_there(site: Site) -> None:
    browser = Browser(site, base_url="https://localhost")
    assert "Secure" in browser.sign_in("ann").headers["set-cookie"].split("; ")


@pytest.mark.parametrize(("name", "status"), [("shop", 403), ("scraper", 403), ("a-guess", 401), ("", 401)])
def test_who_has_no_right_is_not_let_in(site: Site, name: str, status: int) -> None:
    answer = Browser(site).sign_in(name)
    assert answer.status_code == status and "set-cookie" not in answer.headers


def test_who_guesses_is_soon_asked_to_wait(site: Site) -> None:
    guesser, other = Browser(site, "10.0.0.1"), Browser(site, "10.0.0.2")
    found = [guesser.sign_in("a-guess").status_code for _ in range(TRIES + 2)]
    assert found == [401] * TRIES + [429] * 2
    assert guesser.sign_in("ann").status_code == 429, "the right key, too"
    assert other.sign_in("ann").status_code == 303


def test_a_session_ends(site: Site, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ann.get("/queue").status_code == 200
    later_s = time.time() + 8 * 3600 + 2
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: int(later_s))
    assert ann.get("/queue").status_code == 303


def test_a_made_up_session_is_none(site: Site, ann: Browser) -> None:
    cookie = ann.http.cookies[COOKIE]
    for wrong in (("A" if cookie[0] != "A" else "B") + cookie[1:], f"{cookie}x", "", "x.y.z"):
        other = Browser(site)
        other.http.cookies.set(COOKIE, wrong, path="/console")
        assert other.get("/queue").status_code == 303


def test_a_key_that_is_taken_away_ends_its_sessions(tmp_path: Path, ann: Browser) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if "name: ann" not in line))
    again = Site(tmp_path, cases=0, keys=keys)
    browser = Browser(again)
    browser.http.cookies.set(COOKIE, ann.http.cookies[COOKIE], path="/console")
    assert browser.get("/models").status_code == 303
    again.close()


def test_a_key_that_is_replaced_under_its_name_ends_its_sessions(tmp_path: Path, ann: Browser) -> None:
    keys = tmp_path / "keys.yaml"
    old, new = (sha256(key.encode()).hexdigest() for key in (KEYS["ann"][0], "another-secret-0123456789"))
    keys.write_text(keys.read_text().replace(old, new))
    again = Site(tmp_path, cases=0, keys=keys)
    browser = Browser(again)
    browser.http.cookies.set(COOKIE, ann.http.cookies[COOKIE], path="/console")
    assert browser.get("/models").status_code == 303
    assert browser.sign_in("another-secret-0123456789").status_code == 303
    assert browser.get("/models").status_code == 200
    again.close()


def test_a_session_that_was_begun_without_keys_ends_where_there_are_some(tmp_path: Path) -> None:
    without = Site(tmp_path, keys=False)
    browser = Browser(without)
    browser.sign_in("ann")
    without.close()
    again = Site(tmp_path, cases=0)
    other = Browser(again)
    other.http.cookies.set(COOKIE, browser.http.cookies[COOKIE], path="/console")
    assert other.get("/models").status_code == 303
    again.close()


@pytest.mark.parametrize("token", ["", "x", "bobs"])
def test_a_form_of_another_session_does_nothing(site: Site, ann: Browser, token: str) -> None:
    if token == "bobs":
        bob = Browser(site)
        bob.sign_in("bob")
        token = TOKEN.search(bob.get("/queue").text).group(1)  # type: ignore[union-attr]
    assert ann.post("/queue/next", token).status_code == 403
    assert reading.case(site.queue.database, 3).holder is None


def test_a_form_of_another_site_does_nothing(site: Site, ann: Browser) -> None:
    token = TOKEN.search(ann.get("/queue").text).group(1)  # type: ignore[union-attr]
    answer = ann.ask(
        "POST", "/console/queue/next", data={"form_token": token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert ann.ask("POST", "/console/sign-in", data={}, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403


def test_who_only_looks_decides_nothing(site: Site) -> None:
    eve = Browser(site)
    eve.sign_in("eve")
    assert 'data-key="n"' not in eve.get("/queue").text and eve.get("/cases/1").status_code == 200
    token = TOKEN.search(eve.get("/queue").text).group(1)  # type: ignore[union-attr]
    for path in ("/queue/next", "/cases/1/take", "/cases/1/verdict", "/cases/1/undo", "/cases/1/give-back"):
        assert eve.post(path, token, verdict="approve").status_code == 403
    assert [entry.action for entry in audit.entries(site.queue.database)] == ["open"] * 3


def test_a_case_from_the_queue_to_the_next(site: Site, ann: Browser) -> None:
    taken = ann.post("/queue/next")
    assert (taken.status_code, taken.headers["location"]) == (303, "/console/cases/3")
    page = ann.get("/cases/3").text
    assert "with you until" in page and "unusual_amount" in page and "avg_txn_amount" in page
    decided = ann.post("/cases/3/verdict", verdict="reject", note="a <b>stolen</b> card")
    assert decided.headers["location"] == "/console/cases/2?done=3"
    assert "Case 3: reject." in ann.get("/cases/2?done=3").text
    case = reading.case(site.queue.database, 3)
    assert (case.state, case.verdicts[0].author, case.verdicts[0].note) == ("decided", "ann", "a <b>stolen</b> card")
    assert "<b>stolen" not in ann.get("/cases/3").text, "what people write is text"
    assert "reject by ann" in ann.get("/cases/2").text, "it is a similar case: the same user"


def test_two_analysts_never_have_one_case(site: Site, ann: Browser) -> None:
    bob = Browser(site)
    bob.sign_in("bob")
    first, second = ann.post("/queue/next").headers["location"], bob.post("/queue/next").headers["location"]
    assert (first, second) == ("/console/cases/3", "/console/cases/2")
    assert bob.post("/cases/3/take").status_code == 409
    answer = bob.post("/cases/3/verdict", verdict="approve")
    assert answer.status_code == 409 and "not yours" in answer.text


@pytest.mark.parametrize("paths", [("/dead-letters", "/runs"), ("/cases/1", "/cases/2")])
def test_slow_pages_hold_up_no_verdict(
    site: Site, ann: Browser, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, str]
) -> None:
    go_on, begun = threading.Event(), list[object]()

    def slow(*given: object) -> None:
        begun.append(given)
        go_on.wait(60)
        raise OSError("away")

    ann.post("/queue/next")
    token = TOKEN.search(ann.get("/queue").text).group(1)  # type: ignore[union-attr]
    for name in ("letters", "runs", "recent_events"):
        monkeypatch.setattr(sights, name, slow)

    async def run() -> httpx.Response:
        pages = [asyncio.create_task(ann.http.get(f"/console{path}")) for path in paths]
        while len(begun) < len(paths):
            await asyncio.sleep(0.01)
        said = {"form_token": token, "verdict": "reject"}
        try:
            return await asyncio.wait_for(ann.http.post("/console/cases/3/verdict", data=said), 10)
        finally:
            go_on.set()
            assert [(await page).status_code for page in pages] == [200, 200]

    assert site.runner.run(run()).headers["location"] == "/console/cases/2?done=3"


def test_undo_within_its_minute(site: Site, ann: Browser) -> None:
    ann.post("/queue/next")
    ann.post("/cases/3/verdict", verdict="reject")
    assert ann.post("/cases/3/undo").headers["location"] == "/console/cases/3"
    ann.post("/cases/3/verdict", verdict="approve")
    site.now_ms += 60_000
    late = ann.post("/cases/3/undo")
    assert late.status_code == 409 and "cannot be taken back" in late.text


def test_a_verdict_is_one_of_three(ann: Browser) -> None:
    ann.post("/queue/next")
    assert ann.post("/cases/3/verdict", verdict="delete").status_code == 422


def test_what_is_escalated_is_for_an_operator(site: Site, ann: Browser) -> None:
    ann.post("/queue/next")
    ann.post("/cases/3/verdict", verdict="escalate")
    boss = Browser(site)
    boss.sign_in("boss")
    assert boss.post("/queue/next").headers["location"] == "/console/cases/3"
    assert boss.post("/cases/3/verdict", verdict="reject").status_code == 303


def test_a_case_that_is_not_there(ann: Browser) -> None:
    assert ann.get("/cases/99").status_code == 404


def test_what_goes_wrong_here_counts_against_no_decision(
    site: Site, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`invalid_requests_total` is what the availability of the API is measured by."""
    counters = (metrics.INVALID_REQUESTS, metrics.CONSOLE_ERRORS)

    def counted(status: str) -> list[float]:
        return [counter.labels(status)._value.get() for counter in counters]

    before, missing = counted("503"), counted("404")

    def away(*given: object, **named: object) -> None:
        raise ReviewsUnavailable("the database is away")

    monkeypatch.setattr(reading, "case", away)
    assert ann.get("/cases/1").status_code == 503
    assert ann.get("/nowhere").status_code == 404
    assert counted("503") == [before[0], before[1] + 1]
    assert counted("404") == [missing[0], missing[1] + 1]


def test_files_of_the_pages_are_for_everybody(site: Site) -> None:
    browser = Browser(site)
    for name in ("console.css", "console.js", "htmx-2.min.js"):
        assert browser.get(f"/static/{name}").status_code == 200
    assert browser.get("/static/../templates/page.html").status_code != 200
    assert browser.get("/static/%2e%2e/people.py").status_code != 200


def test_without_keys_this_machine_is_let_in(tmp_path: Path) -> None:
    site = Site(tmp_path, keys=False)
    here, elsewhere = Browser(site), Browser(site, "10.0.0.1")
    assert here.sign_in("carl").status_code == 303
    assert "carl, operator" in here.get("/queue").text
    assert here.sign_in("Carl <x>").status_code == 422
    assert elsewhere.sign_in("carl").status_code == 403
    elsewhere.http.cookies = here.http.cookies
    assert elsewhere.get("/queue").status_code == 303, "nor by the cookie of somebody here"
    site.close()


def test_signing_out(site: Site, ann: Browser) -> None:
    assert ann.post("/sign-out").status_code == 303
    assert ann.get("/queue").status_code == 303


def test_after_signing_in_one_goes_on_where_one_was(site: Site) -> None:
    browser = Browser(site)
    assert browser.sign_in("ann", to="/console/cases/2").headers["location"] == "/console/cases/2"
    assert browser.sign_in("ann", to="//elsewhere.example").headers["location"] == "/console/"


def test_the_first_page_of_the_api_names_the_console(site: Site) -> None:
    page = Browser(site).ask("GET", "/")
    assert page.status_code == 200 and 'href="console/sign-in"' in page.text


def test_who_does_something_sees_it_at_once(ann: Browser) -> None:
    assert "with ann" not in ann.get("/queue").text
    ann.post("/queue/next")
    assert "with ann" in ann.get("/queue").text
    ann.post("/cases/3/give-back")
    assert "with ann" not in ann.get("/queue").text


def test_the_address_without_its_last_stroke_leads_there(site: Site) -> None:
    answer = Browser(site).ask("GET", "/console")
    assert answer.status_code == 307 and answer.headers["location"].endswith("/console/")

"""The console in a real browser: signing in, working through the queue by keyboard alone, undo, the audit log.

`CONSOLE_SCREENSHOTS=docs/images/console` in the environment keeps what was seen for the docs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.monitoring.drift.distributions import Numbers
from lamina.monitoring.drift.evidently_page import write_page
from lamina.monitoring.drift.report import PAGE
from lamina.reviews import audit, reading
from lamina.settings import ROOT
from lamina.streams import dead_letters
from serving.stages.log import Outgoing
from tests.console_reports import write_all
from tests.console_site import KEYS, Site, listening, payment
from tests.unit.serving.recognisable import add_version

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENSHOTS = os.environ.get("CONSOLE_SCREENSHOTS")
LONGEST_MS = 15_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # A container's user is root, under whom its sandbox does not start.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, cases=4)


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    with listening(site) as url:
        yield url


@pytest.fixture
def measured(site: Site, tmp_path: Path) -> None:
    """Reports of every kind, and a champion with a page as Evidently makes it."""
    write_all(str(tmp_path / "lake"))
    add_version(site.registry, 0.1, tmp_path, "champion")
    values = np.linspace(0, 1, 200)
    sides = ({"amount": Numbers(values + shift, np.ones(200), 0, 0.0)} for shift in (0.0, 2.0))
    write_page(tmp_path / PAGE, *sides)
    site.registry.attach("fraud", "1", tmp_path / PAGE)


@contextmanager
def person(chromium: Browser, url: str, name: str, complains: str = "") -> Iterator[Page]:
    """A window in which `name` is signed in, by keyboard; what its console or the policy complains of is an error, if
    it is not of `complains`, of which it has to.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, base_url=url)
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(LONGEST_MS)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda each: complaints.append(each.url) if not each.url.startswith(url) else None)
    page.goto("/console/")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(KEYS[name][0])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    yield page
    context.close()
    assert not [each for each in complaints if not complains or complains not in each]
    assert bool(complaints) == bool(complains)


def press(page: Page, key: str, heading: str) -> None:
    page.keyboard.press(key)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def keep(page: Page, name: str) -> None:
    if SCREENSHOTS:
        (ROOT / SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ROOT / SCREENSHOTS / f"{name}.png")


def test_the_queue_by_keyboard(chromium: Browser, url: str, site: Site) -> None:
    with person(chromium, url, "ann") as page:
        keep(page, "overview")
        press(page, "q", "Review queue")
        keep(page, "queue")
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="4", exact=True)).to_be_focused()
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(page.get_by_role("link", name="4", exact=True)).to_be_focused()
        press(page, "Enter", "Case 4")
        press(page, "t", "Case 4")
        expect(page.get_by_text("with you until")).to_be_visible()
        page.keyboard.press("m")
        page.keyboard.type("are a and r and e keys here? no")
        page.keyboard.press("Escape")
        keep(page, "case")
        press(page, "r", "Case 3")
        expect(page.get_by_role("status")).to_contain_text("Case 4: reject.")
        press(page, "b", "Review queue")
        press(page, "n", "Case 3")
        press(page, "a", "Case 2")
        press(page, "e", "Case 1")
        expect(page.get_by_role("status")).to_contain_text("Case 2: escalate.")
        press(page, "u", "Case 2")
        expect(page.get_by_text("with you until")).to_be_visible()
        press(page, "r", "Case 1")
        press(page, "a", "Review queue")
        expect(page.get_by_text("Nothing waits.")).to_be_visible()
    said = {n: [(v.verdict, v.note, v.stands) for v in site.case(f"r-{n}").verdicts] for n in range(1, 5)}
    assert said == {
        4: [("reject", "are a and r and e keys here? no", True)],
        3: [("approve", "", True)],
        2: [("escalate", "", False), ("reject", "", True)],
        1: [("approve", "", True)],
    }


def test_what_was_said_becomes_labels_after_the_minute(
    chromium: Browser, url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Outgoing] = []
    monkeypatch.setattr(site.service.events, "publish_all", sent.extend)
    with person(chromium, url, "ann") as page:
        press(page, "q", "Review queue")
        press(page, "n", "Case 4")
        press(page, "r", "Case 3")
        assert site.service.reviews.publish() == 0
        site.now_ms += 60_000
        assert site.service.reviews.publish() == 1
        page.goto("/console/queue")
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    labels = {each.topic: each.value for each in sent}
    assert FraudLabel.from_json(labels[FRAUD_LABELS]).is_fraud
    feedback = Feedback.from_json(labels[MODEL_FEEDBACK])
    assert (feedback.author, feedback.action, feedback.request_id) == ("ann", "reject", "r-4")


def test_two_analysts_never_get_one_case(chromium: Browser, url: str, site: Site) -> None:
    with person(chromium, url, "ann") as ann, person(chromium, url, "bob") as bob:
        for page in (ann, bob):
            press(page, "q", "Review queue")
        press(ann, "n", "Case 4")
        press(bob, "n", "Case 3")
        press(ann, "a", "Case 2")
        press(bob, "a", "Case 1")
        bob.goto("/console/cases/2")
        expect(bob.get_by_text("escalated, with ann").or_(bob.get_by_text("open, with ann"))).to_be_visible()
        expect(bob.get_by_role("button", name="Approve")).to_have_count(0)
    entries = audit.entries(site.queue.database)
    assert [(entry.actor, entry.case_id) for entry in entries if entry.action == "take"] == [
        ("bob", 1),
        ("ann", 2),
        ("bob", 3),
        ("ann", 4),
    ]


def test_the_audit_log_and_the_help(chromium: Browser, url: str, site: Site) -> None:
    with person(chromium, url, "ann") as page:
        press(page, "q", "Review queue")
        press(page, "n", "Case 4")
        press(page, "r", "Case 3")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        keep(page, "keys")
        press(page, "r", "Case 3")  # the help is open: nothing was decided
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
        page.get_by_role("link", name="Audit log").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
        rows = page.get_by_role("row")
        expect(rows.nth(1)).to_contain_text("take")
        expect(rows.nth(2)).to_contain_text("reject")
        keep(page, "audit")
    assert reading.case(site.queue.database, 3).state == "open"
    assert audit.check(site.queue.database)[0] == 7


def test_the_overview_keeps_itself_current(chromium: Browser, url: str, site: Site) -> None:
    with person(chromium, url, "eve") as page:
        cell = page.get_by_role("region", name="Reviews").get_by_role("cell").first
        expect(cell).to_have_text("4")
        site.queue.open([site.service.reviews.reviewing["fraud"].case(payment(9))])
        expect(cell).to_have_text("5", timeout=20_000)


def test_every_page_by_its_key(chromium: Browser, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No Kafka listens, and nobody has to wait for it as long as a person would.
    monkeypatch.setattr(dead_letters, "ANSWER_S", 0.5)
    headings = ("Overview", "Review queue", "Models", "Measured", "Runs", "Dead letters", "Audit log")
    with person(chromium, url, "eve") as page:
        page.goto("/console/audit")
        for number, heading in enumerate(headings, 1):
            press(page, str(number), heading)


@pytest.mark.usefixtures("measured")
def test_what_was_measured_is_drawn(chromium: Browser, url: str) -> None:
    with person(chromium, url, "eve") as page:
        page.get_by_role("link", name="Measured").click()
        auc = page.get_by_role("img", name="AUC by day")
        expect(auc.locator("polyline")).to_have_count(2)
        drifted = page.get_by_role("img", name="Drift by feature").locator("rect.critical").first
        # Colours of the page's own sheet: a drawing whose styles the policy stops is black.
        assert drifted.evaluate("each => getComputedStyle(each).fill") == "rgb(164, 23, 11)"
        frame, last = auc.bounding_box(), auc.get_by_text("13 Jan").bounding_box()
        assert frame is not None and last is not None and last["x"] + last["width"] < frame["x"] + frame["width"]
        keep(page, "measured")


@pytest.mark.usefixtures("measured")
def test_evidentlys_page_draws_in_its_sandbox(chromium: Browser, url: str) -> None:
    with person(chromium, url, "eve") as page:
        page.goto("/console/measured")
        page.get_by_role("link", name="Evidently's page of it").click()
        expect(page.get_by_text("Dataset Drift is detected.")).to_be_visible()
        page.get_by_role("button", name="Detail panel").click()
        expect(page.get_by_text("current (mean)")).to_be_visible()
        assert page.evaluate("window.origin") == "null"
        with pytest.raises(Error, match="sandboxed"):
            page.evaluate("document.cookie")


@pytest.mark.usefixtures("measured")
def test_a_script_in_a_report_does_not_run(chromium: Browser, url: str) -> None:
    with person(chromium, url, "eve", complains="Blocked script execution") as page:
        page.on("dialog", lambda _: pytest.fail("a script ran"))
        page.goto("/console/measured")
        page.get_by_role("region", name="Performance").get_by_role("link", name="The report's own page").click()
        expect(page.get_by_text("performance")).to_be_visible()


@pytest.mark.usefixtures("measured")
def test_every_field_has_a_label_and_what_has_focus_is_seen(chromium: Browser, url: str) -> None:
    unlabelled = """() => [...document.querySelectorAll('input:not([type=hidden]), textarea, button, a')]
      .filter(each => !(each.labels && each.labels.length) && !each.textContent.trim() && !each.ariaLabel)
      .map(each => each.outerHTML)"""
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    with person(chromium, url, "ann") as page:
        for path in ("/", "/queue", "/cases/4", "/models", "/measured", "/audit"):
            page.goto(f"/console{path}")
            assert page.evaluate(unlabelled) == []
            page.keyboard.press("Tab")
            page.keyboard.press("Tab")
            assert page.evaluate(outline) != "none"


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(chromium: Browser, url: str, scheme: str) -> None:
    """WCAG 2.1, 1.4.3: a ratio of 4.5 at least."""
    ratios = """() => {
      const channel = value => {
        value /= 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
      };
      const light = text => {
        const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      };
      const behind = each => {
        for (; each; each = each.parentElement) {
          const found = getComputedStyle(each).backgroundColor;
          if (!found.endsWith(', 0)')) return found;
        }
        return 'rgb(255, 255, 255)';
      };
      const hasText = each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim());
      return [...document.querySelectorAll('body *')].filter(each => each.offsetParent && hasText(each)).map(each => {
        const [less, more] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => x - y);
        return [(more + 0.05) / (less + 0.05), each.tagName + ' ' + each.className];
      }).filter(([ratio]) => ratio < 4.5);
    }"""
    with person(chromium, url, "ann") as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for path in ("/", "/queue", "/cases/4", "/runs", "/measured"):
            page.goto(f"/console{path}")
            assert page.evaluate(ratios) == []

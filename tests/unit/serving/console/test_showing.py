"""Pages that reports brought along: found, in a sandbox, and nothing else of the lake or the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from lamina.lake import report_pages
from tests.console_reports import evidently_page, write_all
from tests.console_site import Site
from tests.unit.serving.console.test_console import Browser
from tests.unit.serving.recognisable import add_version

PERFORMANCE = "/reports/monitoring/fraud/performance/hour=2025-01-20T07"
DRIFT = "/versions/fraud/1/drift.html"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    lake = tmp_path / "lake"
    write_all(str(lake))
    (lake / "secret").mkdir()
    (lake / "secret" / "report.html").write_text("secret")
    (tmp_path / "report.html").write_text("secret")
    (lake / "parity" / "other" / "2025-01-20").mkdir(parents=True)
    (lake / "parity" / "other" / "2025-01-20" / "report.json").write_text('"secret"')
    add_version(site.registry, 0.1, tmp_path, "champion")
    evidently_page(tmp_path / "drift.html")
    site.registry.attach("fraud", "1", tmp_path / "drift.html")
    yield site
    site.close()


@pytest.fixture
def eve(site: Site) -> Browser:
    """Somebody who only looks."""
    browser = Browser(site)
    assert browser.sign_in("eve").status_code == 303
    return browser


def test_a_report_is_shown_and_can_run_nothing(eve: Browser) -> None:
    page = eve.get(PERFORMANCE)
    assert page.status_code == 200 and "<p>performance</p>" in page.text
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers.get_list("content-security-policy")
    assert len(policy) == 1 and policy[0].startswith("sandbox; default-src 'none'")
    assert "script" not in policy[0] and page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"


def test_a_report_without_a_page_is_shown_as_it_is(eve: Browser) -> None:
    answer = eve.get("/reports/parity/fraud/2025-01-20")
    assert answer.json() == {"compared": 1200, "mismatches": 2}
    assert answer.headers["content-type"] == "application/json"


def test_a_topics_report_is_of_no_system(eve: Browser) -> None:
    day = "quality/transactions/2025-01-20"
    assert eve.get(f"/reports/{day}").json()["status"] == "failed"


def test_a_page_that_is_too_large_says_so(eve: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pages, "LARGEST_BYTES", 4)
    answer = eve.get(PERFORMANCE)
    assert answer.status_code == 413 and "open it in the lake itself" in answer.text
    assert "sandbox" not in answer.headers["content-security-policy"]


def test_evidentlys_page_runs_and_has_nothing_of_the_console(eve: Browser) -> None:
    page = eve.get(DRIFT)
    assert page.status_code == 200 and "ran" in page.text
    (policy,) = page.headers.get_list("content-security-policy")
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy and "connect-src" not in policy and "form-action 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/reports/secret",
        "/reports/../report.html",
        "/reports/monitoring/../secret",
        "/reports/monitoring/%2e%2e/secret",
        "/reports/monitoring/..%2fsecret",
        "/reports/%2e%2e/%2e%2e/etc",
        "/reports/monitoring/.staging-1",
        "/reports/monitoring/fraud/performance/hour=2025-01-20T08",
        "/reports/monitoring",
        "/reports/parity/other/2025-01-20",
        "/reports//etc/passwd",
        "/reports/%2fetc%2fpasswd",
        "/reports/parity/fraud/%252e%252e/%252e%252e/secret",
        "/reports/parity/fraud%00/2025-01-20",
        "/reports/parity/fraud/2025-01-20%0a",
        "/reports/parity/fraud\\2025-01-20",
        "/reports/",
        "/versions/fraud/1/model_card.md",
        "/versions/fraud/2/drift.html",
        "/versions/other/1/drift.html",
        "/versions/../1/drift.html",
        "/versions/fraud/1/..%2fdrift.html",
    ],
)
def test_nothing_else_is(eve: Browser, path: str) -> None:
    answer = eve.get(path)
    # The API itself refuses what leaves the console by dots.
    assert answer.status_code == (401 if "/.." in unquote(path) and unquote(path) != path else 404)
    assert "secret" not in answer.text.replace(path, "")


@pytest.mark.parametrize("path", [PERFORMANCE, DRIFT])
def test_it_is_for_who_is_signed_in(site: Site, path: str) -> None:
    assert Browser(site).get(path).status_code == 303


def test_the_page_of_what_was_measured_leads_there(eve: Browser) -> None:
    page = eve.get("/measured").text
    assert f'href="/console{PERFORMANCE}"' in page and f'href="/console{DRIFT}"' in page

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lamina.demo.stories.fraud import FraudResults
from lamina.demo.stories.fraud import page as page_of
from lamina.reporting.page import Bars, Headline, Lines, Measure, Page, Picture, Section, told_apart
from lamina.reporting.report import headlines, render, write
from lamina.reporting.results import DemoResults, Hop
from tests.unit.reporting.sample import results

VOID = {"meta", "br", "img", "hr", "link", "input"}


class _Reader(HTMLParser):
    """Collects texts, ids and addresses, and holds every element to being closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page() -> str:
    return render(results(), page_of(results()))


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    reader = _read(page)
    assert all(address.startswith("#") for address in reader.addresses)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_charts_are_well_formed_and_share_no_ids(page: str) -> None:
    found = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(found) == 6
    for chart in found:
        assert ElementTree.fromstring(chart).get("aria-label")
    ids = [name for chart in found for name in set(re.findall(r' id="(m[0-9a-f]{10}|p[0-9a-f]{10})"', chart))]
    assert ids
    assert len(ids) == len(set(ids))


def test_figures_are_shown_as_they_were_given(page: str) -> None:
    text = " ".join(" ".join(_read(page).texts).split())
    for shown in (
        "0.879",
        "+0.017",
        "9,488",
        "24.8 ms",
        "1.15 s",
        "unique_merchants_1h",
        "impossible_velocity",
        "7 min 11 s",
    ):
        assert shown in text


def test_a_loss_turns_red() -> None:
    lossy = results().model_copy(update={"hops": [Hop(path="t", name="archived", expected=10, rows=7, aside=1)]})
    assert (headlines(lossy, page_of(lossy))[0].value, headlines(lossy, page_of(lossy))[0].tone) == ("2", "bad")
    assert headlines(results(), page_of(results()))[0].tone == "good"
    page = render(lossy, page_of(lossy))
    assert '<td class="n bad">2</td>' in page
    assert '<div class="lost bad">2 lost</div>' in page


def test_texts_from_outside_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    base = results()
    assert base.decisions
    changed = base.model_copy(
        update={
            "input_name": evil,
            "remarks": [evil],
            "decisions": base.decisions.model_copy(update={"by_reason": {evil: 3}}),
        }
    )
    assert "<script" not in render(changed, page_of(changed))


def test_what_was_not_run_is_said() -> None:
    parts = ("detection", "decisions", "latency", "freshness", "parity", "model")
    bare: FraudResults = results().model_copy(update=dict.fromkeys(parts))
    page = render(bare, page_of(bare))
    assert page.count("Not measured in this run.") == 5
    assert "No model decided in this run." in page
    assert [h.label for h in headlines(bare, page_of(bare))] == ["rows lost"]


def test_the_data_lies_beside_the_page(tmp_path: Path) -> None:
    path = write(results(), page_of(results()), tmp_path / "reports" / "demo.html")
    assert FraudResults.model_validate_json(path.with_suffix(".json").read_text()) == results()


def test_a_page_of_another_system_is_data_alone() -> None:
    common = {name: getattr(results(), name) for name in DemoResults.model_fields}
    run = DemoResults(
        **(common | {"system": "search", "input_name": "queries", "hops": [], "parity": None, "model": None})
    )
    measures = Measure("NDCG@10", "1 is the best order", 0.41, 0.4), Measure("MRR")
    clicks = Picture(Bars("places", "Clicks by place", {"first": 7, "second": 2}, {"first": "good"}), "Clicks")
    ranked = Section("Ranking", "Judged queries.", measures, "BM25", (clicks,), Headline("NDCG@10", "0.41"))
    page = render(run, Page("answer", (ranked, Section("Suggestions"))))
    text = " ".join(" ".join(_read(page).texts).split())
    for shown in ("Search answers on", "9,488 answers at 200 a second", "Ranking", "BM25", "+0.010", "answer, P99"):
        assert shown in text
    assert page.count("Not measured in this run.") == 2, "parity and suggestions"
    assert page.count("<figure>") == 3
    assert "MRR" not in text, "what nobody measured or published is no line"
    assert [h.label for h in headlines(run, Page("answer"))] == ["rows lost", "answer, P99", "freshness, P99"]
    for of_fraud in ("fraud", "decision, P99", "Decisions by", "precision"):
        assert of_fraud not in text


def test_shares_are_drawn_as_lines_and_common_positives_on_plain_axes() -> None:
    hours = {"predicted": [(9, 0.02), (21, 0.06)], "bought <i>": [(9, 0.03), (21, 0.05)]}
    pictures = (
        Picture(Lines("hours", "Share by hour", "hour of the day", "share bought", hours)),
        *told_apart([(0.0, 1.0), (1.0, 0.3)], [(0.0, 0.0), (0.4, 0.8), (1.0, 1.0)], 0.3, is_rare=False),
    )
    page = render(results(), Page("prediction", (Section("Purchases", pictures=pictures),)))
    text = " ".join(" ".join(_read(page).texts).split())
    assert 'aria-label="Share by hour"' in page
    for part in ("hour of the day", "share bought", "6.0%", "predicted", "bought <i>", "guessing: 30.00%"):
        assert part in text
    assert "Recall over the false positive rate." in text
    assert "0.1 %" not in text, "the line that rare positives are judged at"

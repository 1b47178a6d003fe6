"""The demo of a second system: every stage on its own topics, nothing lost, and a busy item's features explained."""

from __future__ import annotations

import pytest

from tests.e2e.demo_run import DemoRun, run_demo

SHOPPERS, DAYS = 400, 40
OF_ITEMS = ("item_events_1h", "item_users_1h", "item_heat_1h", "item_events_7d", "item_users_7d", "item_heat_7d")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    return run_demo(tmp_path_factory.mktemp("demo"), f"--users {SHOPPERS} --days {DAYS} --rate 90", "SYSTEM=activity")


@pytest.mark.timeout(2500)
def test_nothing_is_lost_on_the_way(demo: DemoRun) -> None:
    hops = {(h["path"], h["name"]): h for h in demo.results["hops"]}
    assert hops["views", "of the live day"]["rows"] > SHOPPERS
    for hop in hops.values():
        assert hop["expected"] is None or hop["expected"] == hop["rows"] + hop["aside"], hop


def test_what_was_served_of_busy_items_is_explained(demo: DemoRun) -> None:
    parity = {f["name"]: f for f in demo.results["parity"]}
    assert [f for f in parity.values() if f["mismatch"] or f["missing"] or f["extra"]] == []
    # Some events of an item were always on their way: were none, there would be nothing to explain.
    for name in OF_ITEMS:
        assert parity[name]["stale"] > 0, parity[name]
        assert parity[name]["compared"] > 100, parity[name]


def test_a_model_was_trained_promoted_and_used(demo: DemoRun) -> None:
    results = demo.results
    assert results["model"]["outcome"].startswith("promoted")
    assert results["test"]["scores"]["auc"] >= 0.65
    views = results["views"]
    assert views["views"] > SHOPPERS / 2, "most are answered by the model"
    assert 0 < views["predicted"] < views["views"] / 5


def test_its_page_shows_it(demo: DemoRun) -> None:
    for stage in demo.results["stages"]:
        assert stage["name"][:20] in demo.printed
    assert demo.page.count("<svg") >= 5
    assert "The live day: predicted and bought" in demo.page
    assert "<script" not in demo.page


def test_everything_that_was_started_is_stopped(demo: DemoRun) -> None:
    assert demo.left_running() == []

"""Every row that goes into a step comes out of it, is put aside, or is lost: of each route in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, predictions_of
from lamina.demo.hops import hops
from lamina.demo.live import LiveResult, Route
from lamina.demo.sources import History, LiveDay
from lamina.demo.story import Options, Story, load_story
from lamina.reporting.results import Hop

KAFKA = {DEAD_LETTERS: 2, FEATURE_TILES: 30, predictions_of("fraud"): 9}


def made(tmp_path: Path, archived: Mapping[str, int], shadows: int = 0) -> tuple[Story, dict[tuple[str, str], Hop]]:
    story = load_story("fraud", Options(users=60, days=30, data=None, scratch=tmp_path))
    asked, told = story.routes
    live = LiveResult(posted=10, answers=[{}] * 9, failed=Counter({"HTTP 500": 1}))
    table = pa.table({"timestamp": list(range(10))})
    day = LiveDay(date(2026, 1, 5), {asked.topic: table, told.topic: table.slice(0, 4)}, table)
    kafka = KAFKA | {asked.topic: 9, told.topic: 4}
    kafka[predictions_of("fraud")] += shadows
    history = History({asked.topic: 100, told.topic: 3}, 5)
    found = hops(story, history, day, live, kafka, lambda topic: archived.get(topic, 0), shadows)
    return story, {(hop.path, hop.name): hop for hop in found}


def test_every_route_has_its_hops_in_order(tmp_path: Path) -> None:
    _, found = made(tmp_path, {})
    assert list(found) == [
        ("history", "in the file"),
        ("history", "in the lake"),
        ("transactions", "of the live day"),
        ("transactions", "answered"),
        ("transactions", "on Kafka"),
        ("transactions", "archived"),
        ("decisions", "answered"),
        ("decisions", "on Kafka"),
        ("decisions", "archived"),
        ("labels", "of the live day"),
        ("labels", "on Kafka"),
        ("labels", "archived"),
        ("tiles", "updates on Kafka"),
    ]


def test_what_is_neither_passed_on_nor_put_aside_is_lost(tmp_path: Path) -> None:
    story, _ = made(tmp_path, {})
    asked, told = story.routes
    _, found = made(tmp_path, {asked.topic: 7, told.topic: 4, predictions_of("fraud"): 8})
    lost = {key: hop.lost for key, hop in found.items() if hop.lost}
    assert lost == {("transactions", "answered"): 1, ("decisions", "archived"): 1}
    assert (found["history", "in the file"].rows, found["history", "in the lake"].aside) == (105, 5)
    assert found["transactions", "archived"].aside == 2, "dead letters"
    assert found["tiles", "updates on Kafka"].note == "absolute, one an event"


def test_a_shadow_stands_for_no_answer(tmp_path: Path) -> None:
    """One answer of nine is lost on the way to the lake, and four shadows are not: they do not hide it."""
    _, found = made(tmp_path, {predictions_of("fraud"): 8 + 4}, shadows=4)
    way = [found["decisions", name] for name in ("answered", "on Kafka", "archived")]
    assert [(hop.rows, hop.lost) for hop in way] == [(9, None), (9, 0), (8, 1)]


def test_a_topic_of_several_routes_is_counted_whole_and_by_route(tmp_path: Path) -> None:
    topic, columns = "user-events", "event_type"
    views = Route(topic, "/views", "views", is_answered=True, only=(columns, frozenset({"page_view"})))
    others = Route(topic, "/events", "others", only=(columns, frozenset({"click", "cart"})))
    base = load_story("fraud", Options(users=60, days=30, data=None, scratch=tmp_path))
    story = replace(base, routes=(views, others))
    kinds = ["page_view"] * 5 + ["click", "cart", "purchase"]
    table = pa.table({columns: kinds, "timestamp": list(range(8))})
    live = LiveResult(posted=5, answers=[{}] * 5, accepted=Counter({"others": 1}))
    day = LiveDay(date(2026, 1, 5), {topic: table}, table)
    kafka = KAFKA | {topic: 6, DEAD_LETTERS: 0, predictions_of("fraud"): 5}
    found = {
        (hop.path, hop.name): hop for hop in hops(story, History({topic: 9}, 0), day, live, kafka, kafka.__getitem__)
    }
    assert list(found)[2:-4] == [
        ("user-events", "of the live day"),
        ("views", "of the live day"),
        ("views", "answered"),
        ("others", "of the live day"),
        ("others", "accepted"),
        ("user-events", "answered or accepted"),
        ("user-events", "on Kafka"),
        ("user-events", "archived"),
    ]
    lost = {key: hop.lost for key, hop in found.items() if hop.lost}
    assert lost == {("others", "accepted"): 1, ("user-events", "answered or accepted"): 2}, "the purchase has no route"
    *_, tiles = hops(replace(story, system="activity"), History({topic: 9}, 0), day, live, Counter(kafka), lambda _: 0)
    assert tiles.note == "absolute, up to 3 an event"

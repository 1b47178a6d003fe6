"""What may be added up before a question is known, and what not."""

from __future__ import annotations

from dataclasses import replace

from lamina.contracts.features import hours, minutes
from lamina.definitions import load
from lamina.semantics.plan import make_plan
from lamina.store.edges import HOUR_MS, MINUTE_MS, Asked, cuts_of, edges_of

NOON = 1_533_729_600_000


def test_what_is_added_up_is_a_minute_and_an_hour() -> None:
    assert (MINUTE_MS, HOUR_MS) == (minutes(1).ms, hours(1).ms)


def test_no_span_longer_than_the_gap_of_a_session_is_taken_as_one() -> None:
    plan = make_plan(load("activity"))
    (edges,) = edges_of(plan, plan.features.entities[0])
    assert edges.longest_ms == 30 * 60_000
    fraud = make_plan(load("fraud"))
    assert {own.longest_ms for e in fraud.features.entities for own in edges_of(fraud, e)} == {HOUR_MS}


def test_every_window_begins_and_ends_at_a_cut() -> None:
    plan = make_plan(load("fraud"))
    (edges,) = edges_of(plan, plan.features.entities[0])
    cuts = edges.cuts(NOON + 1_234_567)
    # The first second of the last hour, the one after the request, and the day that has not yet ended.
    assert {NOON + 1_235_000 - 3_600_000, NOON + 1_235_000, NOON + 12 * HOUR_MS} <= cuts


def test_questions_asked_together_respect_the_edges_of_each() -> None:
    plan = make_plan(load("fraud"))
    edges = edges_of(plan, plan.features.entities[0])
    ((longest_ms, cuts),) = cuts_of([Asked(NOON, edges), Asked(NOON + 7000, edges)]).values()
    assert longest_ms == HOUR_MS
    assert cuts == edges[0].cuts(NOON) | edges[0].cuts(NOON + 7000)


def test_an_entity_is_known_by_what_it_is() -> None:
    """Not by which object says so: whoever asks may have loaded the definitions once more."""
    plan = make_plan(load("fraud"))
    for entity in plan.features.entities:
        assert edges_of(plan, replace(entity)) == edges_of(plan, entity) != ()

"""Rules and a score together stay within the false positives that are allowed, and what finds most is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import fraud_together
from benchmarks.fraud_together import Week
from lamina.evaluation.table import Table

HONEST, FRAUDS = 3000, 100
SURE, NOISY = 0, 1
"""The first rule fires on twenty frauds alone; the second on forty frauds and five honest rows."""


@pytest.fixture(scope="module")
def week() -> Week:
    n = HONEST + FRAUDS
    texts, numbers = np.full(n, "x", object), np.zeros(n)
    fraud = np.arange(n) >= HONEST
    rows = Table(
        id=texts, inputs={}, positive=fraud, unit=texts, day=numbers.astype(np.int64), columns={}, weight=numbers,
        waited=numbers,
    )  # fmt: skip
    score = np.random.default_rng(1).random(n) * 0.5
    score[fraud] += 0.45
    score[HONEST : HONEST + 20] = 0.0  # the frauds of the first rule, of which the model sees nothing
    fired = np.zeros((n, 2), bool)
    fired[HONEST : HONEST + 20, SURE] = True
    fired[HONEST + 20 : HONEST + 60, NOISY] = True
    fired[:5, NOISY] = True
    return Week(rows, score, fired)


def test_no_lower_threshold_keeps_within_the_limit(week: Week) -> None:
    threshold = week.threshold([SURE])
    assert threshold is not None
    assert week.false_positives(week.stopped([SURE], threshold)) == 3 / HONEST
    next_lower = week.score[~week.rows.positive & (week.score < threshold)].max()
    assert week.false_positives(week.stopped([SURE], float(next_lower))) > 0.001


def test_rules_that_alone_stop_too_many_leave_no_threshold(week: Week) -> None:
    assert week.threshold([NOISY]) is None


def test_the_rules_that_find_most_are_chosen(week: Week) -> None:
    rules, threshold = fraud_together._choose(week, 2)
    assert rules == (SURE,)
    alone = week.threshold([])
    assert alone is not None
    assert week.recall(week.stopped(rules, threshold)) == pytest.approx(week.recall(week.stopped([], alone)) + 0.2)


def test_listed_cards_take_the_place_of_the_shipped_list() -> None:
    book = fraud_together.load_book(["card-lost-1"])
    listed = next(rule for rule in book.rules if rule.code == "listed_card")
    assert listed._entries == {"card-lost-1"}  # type: ignore[union-attr]


def test_evidence_is_what_hardly_an_honest_payment_shows(week: Week) -> None:
    values = np.linspace(0.0, 1.0, len(week.score))
    inputs = {name: values for name in fraud_together.EVIDENCE}
    shown = Week(replace(week.rows, inputs=inputs), week.score, week.fired)
    assert shown.evident[week.rows.positive].all()  # they come last, above all that is honest
    honest = shown.evident[:HONEST] & ~week.fired[:HONEST].any(axis=1)
    assert 0.009 * HONEST <= honest.sum() <= 0.011 * HONEST

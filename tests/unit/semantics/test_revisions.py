"""Which of several labels of a transaction stands: the best source known by the time, of one source the newest."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import get_args

import pytest

from lamina.clock import DAY_MS
from lamina.contracts.features import Revisions
from lamina.contracts.transactions import LabelSource
from lamina.definitions.fraud import FEATURES, FRAUD_LABELS, FRAUD_REPORTS, MERCHANT_FRAUD
from lamina.errors import DefinitionError
from lamina.features import training_set
from lamina.semantics.reference import as_streamed, evaluate_all, without_duplicates

PAID_MS = 1_533_686_400_000
ASKED_DAYS = 20


def label(source: str, is_fraud: bool, day: float, transaction: str = "t1") -> dict[str, object]:
    """What `source` said so many days after the payment."""
    return {
        "transaction_id": transaction,
        "user_id": "u",
        "merchant_id": "m",
        "is_fraud": is_fraud,
        "scenario": None,
        "source": source,
        "transaction_timestamp": PAID_MS,
        "timestamp": PAID_MS + round(day * DAY_MS),
    }


ANALYST_NO, CHARGEBACK = label("analyst", False, 2), label("chargeback", True, 12)
STORIES = {
    "a later chargeback": [ANALYST_NO, CHARGEBACK],
    "an analyst after the chargeback": [label("chargeback", True, 3), label("analyst", False, 12)],
    "a customer who clears it": [label("analyst", True, 3), label("customer", False, 4)],
    "the newest of one source": [label("analyst", True, 2), label("analyst", False, 9), label("analyst", True, 14)],
    "all at once": [label("customer", True, 3), label("analyst", False, 3), label("chargeback", True, 3)],
    "later than a week": [label("chargeback", True, 11)],
    "who is not in the order": [label("hearsay", False, 5), label("customer", True, 3)],
}


@pytest.mark.parametrize("arrived", [*permutations(STORIES["all at once"])])
def test_precedence_does_not_depend_on_arrival(arrived: tuple[dict[str, object], ...]) -> None:
    assert [e["source"] for e in without_duplicates(FRAUD_LABELS, arrived)] == ["chargeback"]


def test_a_no_fraud_does_not_hide_the_later_chargeback() -> None:
    known = [PAID_MS + days * DAY_MS for days in (1, 2, 11, 12, 30)]
    stood = [without_duplicates(FRAUD_LABELS, [ANALYST_NO, CHARGEBACK], at) for at in known]
    assert [[e["source"] for e in events] for events in stood] == [
        [],
        ["analyst"],
        ["analyst"],
        ["chargeback"],
        ["chargeback"],
    ]


def test_whoever_sends_feedback_last_does_not_launder() -> None:
    laundered = [label("chargeback", True, 3), label("analyst", False, 4), label("customer", False, 5)]
    assert [e["is_fraud"] for e in without_duplicates(FRAUD_LABELS, laundered)] == [True]


def test_of_equal_ones_the_later_to_arrive_stands() -> None:
    told_twice = [label("analyst", False, 3), label("analyst", True, 3)]
    assert without_duplicates(FRAUD_LABELS, told_twice) == told_twice[1:]


@pytest.mark.parametrize("story", STORIES)
def test_the_batch_engine_never_knows_the_future(story: str) -> None:
    """Asked every half day, DuckDB gives what the reference gives."""
    labels = [*STORIES[story], label("chargeback", True, 1, "t2"), label("analyst", False, 6, "t3")]
    paid = [
        {"transaction_id": f"t{i}", "user_id": "u", "merchant_id": "m", "amount": 5.0, "timestamp": PAID_MS}
        for i in (1, 2, 3)
    ]
    columns = {c: "x" for c, kind in FEATURES.request.columns.items() if kind == "string"}
    paid = [{**columns, "location": {"lat": None, "lon": None}, **e} for e in paid]
    rows = [
        {**paid[0], "transaction_id": f"r{i}", "timestamp": PAID_MS + i * DAY_MS // 2} for i in range(2 * ASKED_DAYS)
    ]
    events = {"transactions": [*paid, *rows], "fraud_labels": labels, "fraud_reports": labels}
    views = tuple(v for v in FEATURES.views if v.source in (FRAUD_LABELS, FRAUD_REPORTS))
    asked = replace(FEATURES, views=views, ratios=(), elapsed=(), request_features=(), model_features=())
    found = training_set(rows, asked, events=events)
    counts = set()
    for row, got in zip(rows, found.to_dict("records"), strict=True):
        wanted = evaluate_all(asked, events, row, int(str(row["timestamp"])))
        assert {k: v for k, v in wanted.items() if v is not None} == {k: got[k] for k in wanted if got[k] == got[k]}
        counts.add(wanted["merchant_fraud_count_21d"])
    assert len(counts) > 1, "the labels come and go, or nothing was tested"


def test_the_stream_counts_each_verdict_once() -> None:
    said = [ANALYST_NO, label("customer", False, 3), CHARGEBACK, label("analyst", True, 13)]
    assert as_streamed(FRAUD_REPORTS, said) == [ANALYST_NO, CHARGEBACK]


def test_the_definition_ranks_every_source() -> None:
    assert FRAUD_LABELS.revisions is not None
    assert set(FRAUD_LABELS.revisions.order) == set(get_args(LabelSource))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Revisions(known="when", by="source", order=("a",), verdict="is_fraud"), "when"),
        (Revisions(known="timestamp", by="source", order=(), verdict="is_fraud"), "at least one"),
        (Revisions(known="timestamp", by="source", order=("a", "a"), verdict="is_fraud"), "once"),
    ],
)
def test_revisions_that_cannot_be(wrong: Revisions, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        replace(MERCHANT_FRAUD, source=replace(FRAUD_LABELS, revisions=wrong))

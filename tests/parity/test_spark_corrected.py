"""Labels that training learns: by the record and by feedback on the answers of a request, the best word standing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.spark import extract_data
from lamina.clock import DAY_MS, day_of
from lamina.contracts.base import Event
from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS, FraudLabel, Transaction
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from lamina.definitions import record
from tests.parity import answered
from tests.parity.answered import answer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AT_MS = 1_533_686_400_000 + 3_600_000  # 2018-08-08T01:00:00Z
DAY = day_of(AT_MS)
put = partial(answered.put, day=DAY)
PAID = {
    "card_token": "card-1",
    "amount": 1.0,
    "currency": "EUR",
    "merchant_id": "m",
    "merchant_category": "grocery",
    "country": "PT",
    "user_country": "PT",
    "transaction_type": "online",
    "device_type": "mobile",
    "location": None,
}


def said(system: str, what: str, after_ms: int, **named: Any) -> Feedback:
    source = named.pop("source", "analyst")
    return Feedback(
        system=system,
        feedback_id=f"{what}-{after_ms}-{named}",
        action=what,
        source=source,
        timestamp=AT_MS + after_ms,
        **named,
    )


def labels(spark: SparkSession, lake: str, system: str, id_column: str) -> dict[str, tuple[bool, int | None]]:
    """By id of the request: the label and how long after the requests it became known, ms."""
    made = record(system)
    counts = extract_data.extract(spark, lake, made, DAY, DAY, DAY)
    rows = spark.read.parquet(extract_data.rows_url(lake, system, DAY)).collect()
    assert counts["rows"] == len(rows) and counts["positives"] == sum(r[made.learnt_label.column] for r in rows)
    known = {r[id_column]: r["label_timestamp"] for r in rows}
    return {
        r[id_column]: (r[made.learnt_label.column], None if (at := known[r[id_column]]) is None else at - AT_MS)
        for r in rows
    }


def test_feedback_corrects_what_was_reported_and_is_corrected_by_a_better_word(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake, ids = str(tmp_path), [f"t{i}" for i in range(7)]
    paid = [Transaction(transaction_id=i, user_id=f"u-{i}", timestamp=AT_MS, **PAID) for i in ids]
    put(lake, TRANSACTIONS, Transaction, list(paid))
    put(
        lake,
        predictions_of("fraud"),
        Served,
        [answer("fraud", i, {"user": f"u-{i}", "merchant": "m"}, AT_MS) for i in ids],
    )

    def label(i: str, source: str, is_fraud: bool, after_ms: int) -> FraudLabel:
        return FraudLabel(
            transaction_id=i,
            user_id="u",
            merchant_id="m",
            is_fraud=is_fraud,
            source=source,
            transaction_timestamp=AT_MS,
            timestamp=AT_MS + after_ms,
        )

    put(
        lake,
        FRAUD_LABELS,
        FraudLabel,
        [
            label("t1", "analyst", True, 10),
            label("t2", "chargeback", True, 10),
            label("t3", "customer", False, 10),
            label("t6", "customer", True, 10),
        ],
    )
    put(
        lake,
        MODEL_FEEDBACK,
        Feedback,
        [
            said("fraud", "fraud", 20, event_id="t0"),
            said("fraud", "honest", 20, request_id="r-t1"),
            said("fraud", "honest", 20, event_id="t2"),
            said("fraud", "reject", 20, subjects={"user": "u-t3"}),
            said("fraud", "fraud", 20, event_id="t4"),
            said("fraud", "honest", 30, event_id="t4"),
            said("fraud", "fraud", DAY_MS, event_id="t5"),
        ],
    )
    assert labels(spark, lake, "fraud", "transaction_id") == {
        "t0": (True, 20),
        "t1": (False, 20),
        "t2": (True, 10),
        "t3": (True, 20),
        "t4": (False, 30),
        "t5": (False, None),
        "t6": (True, 10),
    }


def test_what_a_shop_says_counts_beside_what_follows(spark: SparkSession, tmp_path: Path) -> None:
    lake = str(tmp_path)

    def event(i: int, kind: str, user: str, after_ms: int) -> UserEvent:
        more: dict[str, Any] = {"purchase_id": "p", "purchase_amount": 1.0} if kind == "purchase" else {}
        return UserEvent(
            event_id=f"e{i}",
            user_id=user,
            event_type=kind,
            item_id="i",
            session_id="s",
            page="item",
            timestamp=AT_MS + after_ms,
            **more,
        )

    views = [event(i, "page_view", f"u{i}", 0) for i in range(4)]
    put(lake, USER_EVENTS, UserEvent, [*views, event(9, "purchase", "u1", 50)])
    put(
        lake,
        predictions_of("activity"),
        Served,
        [
            *(answer("activity", f"e{i}", {"shopper": f"u{i}", "item": "i"}, AT_MS) for i in range(4)),
            answer("activity", "e3", {"shopper": "u3", "item": "i"}, AT_MS, request="again"),
        ],
    )
    put(
        lake,
        MODEL_FEEDBACK,
        Feedback,
        [
            said("activity", "purchase", 20, source="shop", subjects={"shopper": "u0", "item": "i"}),
            said("activity", "skip", 20, source="user", subjects={"shopper": "u1", "item": "i"}),
            said("activity", "purchase", 20, source="shop", subjects={"shopper": "u2", "item": "j"}),
            said("activity", "skip", 20, source="shop", request_id="r-e3"),
            said("activity", "purchase", 30, source="shop", request_id="again"),
        ],
    )
    assert labels(spark, lake, "activity", "event_id") == {
        "e0": (True, 20),
        "e1": (True, 50),
        "e2": (False, None),
        "e3": (True, 30),
    }


@pytest.mark.parametrize("events", [[], [said("other", "fraud", 20, event_id="t0")]])
def test_without_feedback_labels_are_the_records(spark: SparkSession, tmp_path: Path, events: list[Event]) -> None:
    lake = str(tmp_path)
    put(lake, TRANSACTIONS, Transaction, [Transaction(transaction_id="t0", user_id="u", timestamp=AT_MS, **PAID)])
    put(lake, MODEL_FEEDBACK, Feedback, events)
    assert labels(spark, lake, "fraud", "transaction_id") == {"t0": (False, None)}

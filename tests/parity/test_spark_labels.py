"""The label that Spark gives each request: at the ends of its window, of what came late or twice, never too early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.spark import extract_data, training_set
from jobs.spark.labelled import labelled
from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.contracts.features import days
from lamina.contracts.labels import FollowedLabel, ReportedLabel
from lamina.contracts.systems import System
from lamina.definitions.activity import FEATURES, PAGE_VIEW, PURCHASE, USER_EVENTS
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS
from lamina.semantics.reference import without_duplicates
from tests.parity import activity
from tests.parity.generated import START_MS
from tests.parity.lake import Arrivals, write_lake

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

BOUGHT = FollowedLabel(
    source=USER_EVENTS,
    column="bought",
    keys=("user_id", "item_id"),
    within=days(1),
    where=PURCHASE,
    rows=PAGE_VIEW,
)
SHOP = System(features=replace(FEATURES, model_features=()), label=BOUGHT)
FIRST_DAY = day_of(START_MS)
COLUMNS = "event_id string, user_id string, item_id string, event_type string, timestamp long"
NEVER = 10 * DAY_MS
"""A logical date whose end is later than everything in a test."""


def bought(
    spark: SparkSession, events: Sequence[tuple[str, str, str, str, int]], known_before_ms: int = NEVER
) -> dict[str, tuple[bool, int | None]]:
    """By id of the view: the label and since when it is known."""
    frame = spark.createDataFrame(list(events), COLUMNS)
    rows = labelled(frame, frame, USER_EVENTS, BOUGHT, known_before_ms).collect()
    assert all(len(row) == 7 for row in rows), "the request's columns, the label and its time"
    return {row["event_id"]: (row["bought"], row["label_timestamp"]) for row in rows}


@pytest.mark.parametrize(
    ("after_ms", "follows"), [(-1, False), (0, False), (1, True), (DAY_MS, True), (DAY_MS + 1, False)]
)
def test_a_purchase_counts_from_just_after_the_view_to_the_end_of_a_day(
    spark: SparkSession, after_ms: int, follows: bool
) -> None:
    at = DAY_MS // 2
    found = bought(spark, [("v", "u", "i", "page_view", at), ("p", "u", "i", "purchase", at + after_ms)])
    assert found == {"v": (follows, at + after_ms if follows else None)}


@pytest.mark.parametrize(("before_end_ms", "known"), [(1, True), (0, False), (-1, False)])
def test_what_happens_after_the_logical_date_is_not_known(spark: SparkSession, before_end_ms: int, known: bool) -> None:
    at = DAY_MS - before_end_ms
    events = [("v", "u", "i", "page_view", DAY_MS - 5000), ("p", "u", "i", "purchase", at)]
    assert bought(spark, events, DAY_MS) == {"v": (known, at if known else None)}


def test_the_first_of_several_purchases_makes_it_known(spark: SparkSession) -> None:
    events = [
        ("p0", "u", "i", "purchase", 50),
        ("v1", "u", "i", "page_view", 100),
        ("p1", "u", "i", "purchase", 300),
        ("v2", "u", "i", "page_view", 200),
        ("p2", "u", "i", "purchase", 400),
        ("v3", "u", "i", "page_view", 300),
        ("v4", "u", "i", "page_view", 400),
    ]
    found = bought(spark, events)
    assert found == {"v1": (True, 300), "v2": (True, 300), "v3": (True, 400), "v4": (False, None)}


def test_only_the_same_user_and_item_and_only_purchases_count(spark: SparkSession) -> None:
    events = [
        ("v", "u", "i", "page_view", 100),
        ("p1", "u", "j", "purchase", 200),
        ("p2", "w", "i", "purchase", 200),
        ("c", "u", "i", "cart", 200),
    ]
    assert bought(spark, events) == {"v": (False, None)}


def test_a_label_without_revisions_is_known_at_its_own_time(spark: SparkSession) -> None:
    from pyspark.sql.types import BooleanType, LongType, StringType, StructField, StructType

    source = replace(FRAUD_LABELS, revisions=None, timestamp="timestamp")
    label = ReportedLabel(source=source, column="is_fraud", delay=days(7), rows=replace(PAGE_VIEW, column="kind"))
    kinds = {"transaction_id": StringType(), "is_fraud": BooleanType(), "timestamp": LongType()}
    told = spark.createDataFrame(
        [("t1", True, 10), ("t2", True, 20), ("t3", False, 10)],
        StructType([StructField(name, kind) for name, kind in kinds.items()]),
    )
    ids = [(f"t{i}", "page_view") for i in (1, 2, 3, 4)]
    requests = spark.createDataFrame([*ids, ("t5", "cart")], "transaction_id string, kind string")
    found = labelled(requests, told, TRANSACTIONS, label, 20).orderBy("transaction_id").collect()
    assert [tuple(row)[2:] for row in found] == [(True, 10), (False, None), (False, 10), (False, None)]


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_of_generated_events_are_those_of_a_loop(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """Ties, late events and duplicates included; the last views' day is not over at the logical date."""
    arrived = write_lake(tmp_path, activity.generate(seed))["user_events"]
    day = FIRST_DAY + timedelta(days=9)
    counts = extract_data.extract(spark, str(tmp_path), SHOP, day, FIRST_DAY + timedelta(days=2), day)
    rows = spark.read.parquet(extract_data.rows_url(str(tmp_path), "activity", day)).collect()
    expected = _by_a_loop(arrived, FIRST_DAY + timedelta(days=2), day)
    assert {row["event_id"]: (row["bought"], row["label_timestamp"]) for row in rows} == expected
    assert counts["rows"] == len(rows) == len(expected) > 100
    assert counts["positives"] == sum(positive for positive, _ in expected.values()) > 10


def test_a_training_set_of_what_follows_has_features_and_label(spark: SparkSession, tmp_path: Path) -> None:
    write_lake(tmp_path, activity.generate(3, n=150))
    day = FIRST_DAY + timedelta(days=9)
    lake = str(tmp_path)
    counts = extract_data.extract(spark, lake, SHOP, day, FIRST_DAY, day)
    assert training_set.build(spark, lake, SHOP, day)["rows"] == counts["rows"]
    rows: list[Row] = spark.read.parquet(training_set.features_url(lake, "activity", day)).collect()
    assert list(rows[0].asDict()) == [
        *("event_id", "user_id", "item_id", "timestamp", "bought", "label_timestamp"),
        *FEATURES.names,
    ]
    assert sum(row["bought"] for row in rows) == counts["positives"] > 0


def _by_a_loop(arrived: Arrivals, first: Any, day: Any) -> dict[str, tuple[bool, int | None]]:
    end_ms = midnight_ms(day + timedelta(days=1))
    known = without_duplicates(USER_EVENTS, [event for when, event in arrived if when <= day])
    found = {}
    for view in known:
        at = int(view["timestamp"])  # type: ignore[call-overload]
        if view["event_type"] != "page_view" or not midnight_ms(first) <= at < end_ms:
            continue
        times = sorted(
            int(e["timestamp"])  # type: ignore[call-overload]
            for e in known
            if e["event_type"] == "purchase"
            and (e["user_id"], e["item_id"]) == (view["user_id"], view["item_id"])
            and at < int(e["timestamp"]) <= at + DAY_MS  # type: ignore[call-overload]
        )
        times = [each for each in times if each < end_ms]
        found[str(view["event_id"])] = (bool(times), times[0] if times else None)
    return found

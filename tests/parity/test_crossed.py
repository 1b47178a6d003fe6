"""What crosses features with a column of the request is the same by every engine, and as said by hand."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.contracts.aggregates import count, last_k, last_time
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    Entity,
    EventSource,
    FeatureSet,
    FeatureView,
    Membership,
    Ratio,
    hours,
    minutes,
)
from lamina.features import sql
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import Value, derived
from lamina.store.columnar import ColumnarEvaluator, Columns
from lamina.store.evaluate import Evaluator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AT_MS = 1_533_686_400_000
WATCHES = EventSource(
    "watches",
    "watches",
    "id",
    "timestamp",
    {"id": "string", "viewer": "string", "category": "string", "video.channel": "string", "timestamp": "long"},
    optional=("category",),
)
NUMBERS, TIMES = ("comedy", "news", "its"), ("comedy_at", "news_at")
VIEW = FeatureView(
    name="watching",
    entity=Entity("viewer", "viewer"),
    source=WATCHES,
    owner="test",
    aggregates=(*map(count, NUMBERS), *map(last_time, TIMES), last_k("video.channel", "channels", k=3)),
    windows=(hours(1),),
    resolution=minutes(1),
    suffix=False,
)
VALUES = {"comedy": "comedy", "news": "news", "it's": "its", "funny": "comedy"}
FEATURES = FeatureSet(
    system="crossed",
    request=WATCHES,
    views=(VIEW,),
    chosen=(
        Chosen("watched", "category", VALUES),
        Chosen("watched_or_less", "category", VALUES, default=-1),
        Chosen("watched_at", "category", {"comedy": "comedy_at", "news": "news_at"}),
        Chosen("by_channel", "video.channel", {"c-1": "comedy"}, default=0.5),
    ),
    memberships=(Membership("followed", "video.channel", "channels"), Membership("odd", "category", "channels")),
    ratios=(Ratio("share", "watched", "news", default=None), Ratio("part", "comedy", "watched")),
    elapsed=(Elapsed("since", "watched_at"), Elapsed("between", "comedy_at", until="watched_at")),
)
CATEGORIES = (None, "", "comedy", "news", "it's", "funny", "NEWS", "sport")
CHANNELS = (None, "c-1", "c-2", "c-3", "c")
Row = dict[str, Any]

number = st.none() | st.sampled_from([0.0, 1.0, 2.5, -3.0])
row = st.fixed_dictionaries(
    {
        "category": st.sampled_from(CATEGORIES),
        "video": st.none() | st.fixed_dictionaries({"channel": st.sampled_from(CHANNELS)}),
        **dict.fromkeys(NUMBERS, number),
        **dict.fromkeys(TIMES, st.none() | st.integers(0, AT_MS).map(float)),
        "channels": st.lists(st.sampled_from(CHANNELS[1:]), max_size=3),
    }
)


def expected(row: Row) -> dict[str, Value]:
    """The same by hand."""
    category, channel = row["category"], (row["video"] or {}).get("channel")
    watched, at = VALUES.get(category), {"comedy": "comedy_at", "news": "news_at"}.get(category)
    found: dict[str, Any] = {
        "watched": row[watched] if watched else None,
        "watched_or_less": row[watched] if watched else -1.0,
        "watched_at": row[at] if at else None,
        "by_channel": row["comedy"] if channel == "c-1" else 0.5,
        "followed": None if channel is None else float(row["channels"].count(channel) > 0),
        "odd": None if category is None else float(row["channels"].count(category) > 0),
    }
    top, bottom, since = found["watched"], row["news"], found["watched_at"]
    found["share"] = top / bottom if top is not None and bottom else None
    found["part"] = row["comedy"] / top if row["comedy"] is not None and top else 0.0
    found["since"] = None if since is None else (AT_MS - since) / 1000
    found["between"] = None if since is None or row["comedy_at"] is None else (since - row["comedy_at"]) / 1000
    return found


def by_reference(rows: list[Row]) -> list[dict[str, Value]]:
    return [derived(FEATURES, row, row, AT_MS) for row in rows]


def by_columns(rows: list[Row]) -> list[dict[str, Value]]:
    found = Columns()
    for name in (*NUMBERS, *TIMES):
        found.add_numbers(name, np.array([nan if row[name] is None else row[name] for row in rows], np.float64))
    found.add("channels", [row["channels"] for row in rows])
    names = [own.name for own in FEATURES.made]
    ColumnarEvaluator(Evaluator(make_plan(FEATURES))).add_derived(found, names, rows, [AT_MS] * len(rows))
    columns = [found.values(name) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def table(rows: list[Row]) -> pa.Table:
    numbers = [pa.field(name, pa.float64()) for name in (*NUMBERS, *TIMES)]
    schema = pa.schema(
        [
            pa.field("timestamp", pa.int64()),
            pa.field("category", pa.string()),
            pa.field("video", pa.struct([pa.field("channel", pa.string())])),
            pa.field("channels", pa.list_(pa.string())),
            *numbers,
        ]
    )
    return pa.Table.from_pylist([{"timestamp": AT_MS, **row} for row in rows], schema=schema)


def by_duckdb(rows: list[Row]) -> list[dict[str, Value]]:
    with duckdb.connect() as con:
        con.register("answered", table(rows))
        found: list[dict[str, Value]] = (
            con.sql(f"SELECT {', '.join(sql.derived(FEATURES))} FROM answered").to_arrow_table().to_pylist()
        )
        return found


@settings(max_examples=60, deadline=None)
@given(st.lists(row, min_size=1, max_size=12))
@pytest.mark.parametrize("engine", [by_reference, by_columns, by_duckdb])
def test_every_engine_says_what_is_said_by_hand(engine: Any, rows: list[Row]) -> None:
    assert [dict(sorted(found.items())) for found in engine(rows)] == [dict(sorted(expected(r).items())) for r in rows]


def test_spark_says_the_same(spark: SparkSession) -> None:
    from jobs.spark.compile import derived as columns

    held: tuple[list[str], ...] = ([], ["c-2", "c-1"])
    rows: list[Row] = [
        {
            "category": category,
            "video": video,
            "channels": channels,
            "comedy": one,
            "news": None if one else 2.0,
            "its": 4.0,
            "comedy_at": one and 1000.0,
            "news_at": 5000.0,
        }
        for category in CATEGORIES
        for video in (None, *({"channel": channel} for channel in CHANNELS))
        for channels in held
        for one in (None, 1.0)
    ]
    frame = spark.createDataFrame(table(rows))
    found = [each.asDict() for each in frame.select(*columns(FEATURES)).collect()]
    assert found == [{name: expected(row)[name] for name in FEATURES.names[-len(FEATURES.made) :]} for row in rows]


def test_of_who_has_no_list_it_is_false_and_of_what_is_not_said_it_is_missing() -> None:
    """A list is never missing: of whom nothing is stored it is empty, as it is of who did nothing."""
    values: dict[str, Value] = {**dict.fromkeys((*NUMBERS, *TIMES)), "channels": []}
    assert derived(FEATURES, values, {"video": {"channel": "c-1"}}, AT_MS)["followed"] == 0.0
    assert derived(FEATURES, values, {"video": {}}, AT_MS)["followed"] is None
    assert derived(FEATURES, values, {}, AT_MS)["followed"] is None

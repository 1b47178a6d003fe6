"""Conditions, request features and ratios as Spark's columns mean what the slow reference means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, LongType, StringType, StructField, StructType

from jobs.spark.compile import condition, ratio, request_feature, state, tile_start
from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import Duration, Layers, Ratio, RequestFeature
from lamina.definitions import load
from lamina.definitions.activity import USER_EVENTS
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS, USER
from lamina.semantics import reference
from lamina.semantics.events import holds, request_value
from lamina.semantics.plan import State, TileSpec
from tests.parity.generated import START_MS, generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FEATURES = load("fraud")
PREDICATES = [
    *(Predicate("x", op, 1.5) for op in ("=", "<>", "<", "<=", ">", ">=")),
    *(Predicate(column, op) for column in ("x", "s", "b", "place.lat") for op in ("is null", "is not null")),
    Predicate("b", "=", True),
    Predicate("b", "<>", False),
    Predicate("s", "=", "it's"),
    Predicate("s", "<>", "it's"),
    Predicate("place.lat", ">", 0.0),
]
ROWS = [
    {"x": x, "s": s, "b": b, "place": place}
    for x in (None, 1.0, 1.5, 2.0)
    for s, b, place in ((None, None, None), ("it's", True, {"lat": 1.0}), ("its", False, {"lat": -1.0}))
]


def test_conditions_mean_the_same(spark: SparkSession) -> None:
    place = StructType([StructField("lat", DoubleType())])
    types = (("x", DoubleType()), ("s", StringType()), ("b", BooleanType()), ("place", place))
    frame = spark.createDataFrame(ROWS, StructType([StructField(name, kind) for name, kind in types]))
    found = frame.select(*(condition(p).alias(str(i)) for i, p in enumerate(PREDICATES))).collect()
    for i, predicate in enumerate(PREDICATES):
        assert [r[str(i)] for r in found] == [holds(predicate, row) for row in ROWS], predicate


def test_a_tile_is_made_as_the_docstring_says(spark: SparkSession) -> None:
    states = State("count"), State("sum", "amount")
    tile_spec = TileSpec(USER, TRANSACTIONS, Duration(60, "1m"), Layers.BOTH, 300, states, ())
    start, *columns = tile_start(tile_spec), *(state(each, tile_spec) for each in states)
    for column in (start, *columns):
        assert str(column).removeprefix("Column<'").removesuffix("'>") in (state.__doc__ or "")
    payments = [("7", 43_210_000, 5.0), ("7", 43_240_000, 7.0)]
    frame = spark.createDataFrame(payments, "user_id string, timestamp long, amount double")
    (row,) = frame.groupBy("user_id", start.alias("start")).agg(*columns).collect()
    assert row.asDict() == {"user_id": "7", "start": 43_200_000, "count(*)": 2.0, "sum(amount)": 12.0}


def test_request_features_mean_the_same(spark: SparkSession) -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    from lamina.contracts.transactions import TRANSACTIONS
    from lamina.lake.schemas import SCHEMAS

    wanted = [
        *FEATURES.request_features,
        RequestFeature("lat", "field", "location.lat"),
        RequestFeature("same_lat", "differs", "location.lat", other="location.lon"),
    ]
    rows = generate(0, n=60).transactions
    hour = 3_600_000
    times = [START_MS + hour * h + ms for h in range(0, 24 * 9, 5) for ms in (0, hour - 1)] + [946_684_800_000]
    rows = [{**rows[i % len(rows)], "timestamp": at} for i, at in enumerate(times)]
    frame = spark.createDataFrame(rows, from_arrow_schema(SCHEMAS[TRANSACTIONS]))
    found = frame.select(*(request_feature(f, FEATURES.request) for f in wanted)).collect()
    for row, values in zip(rows, found, strict=True):
        for feature in wanted:
            assert values[feature.name] == request_value(feature, row, int(str(row["timestamp"]))), (feature, row)


@pytest.mark.parametrize("default", [0.0, -1.0, None])
def test_ratios_mean_the_same(spark: SparkSession, default: float | None) -> None:
    definition = replace(Ratio("r", "a", "b"), default=default)
    pairs = [(a, b) for a in (None, 0.0, 3.0) for b in (None, 0.0, 2.0)]
    frame = spark.createDataFrame(pairs, StructType([StructField("a", DoubleType()), StructField("b", DoubleType())]))
    found = [r["r"] for r in frame.select(ratio(definition, {"a": F.col("a")})).collect()]
    assert found == [reference.ratio(definition, {"a": a, "b": b}) for a, b in pairs]


def test_the_columns_of_the_lake_are_those_of_the_definition() -> None:
    from lamina.lake.schemas import SCHEMAS

    kinds = {"string": StringType(), "double": DoubleType(), "long": LongType(), "boolean": BooleanType()}
    for source in (TRANSACTIONS, FRAUD_LABELS, USER_EVENTS):
        from pyspark.sql.pandas.types import from_arrow_schema

        columns = {f.name: f.dataType for f in from_arrow_schema(SCHEMAS[source.topic]).fields}
        for name, kind in source.columns.items():
            outer, _, inner = name.partition(".")
            found = columns[outer][inner].dataType if inner else columns[outer]
            assert found == kinds[kind], name

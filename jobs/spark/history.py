"""What joined rows said before: kept with them whenever their day is written anew, for who asks again as of a time."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from jobs.spark.lake import spark_source
from lamina.lake.joined import SCHEMA, STATE
from lamina.lake.write import open_lake

IDENTITY = ("request_id", "event_id", "shadow", "arm")
"""Of a row, among those of its day."""
SAYS = tuple(name for name in STATE.names if name != "since")


_SCHEMA = from_arrow_schema(SCHEMA)


def rows_of(spark: SparkSession, url: str) -> DataFrame | None:
    """The joined rows in a folder, with all columns; None where it is not there."""
    fs, path = open_lake(url)
    return spark.read.schema(_SCHEMA).parquet(spark_source(url)) if fs.exists(path) else None


def with_history(rows: DataFrame, before: DataFrame | None, known_before_ms: int) -> DataFrame:
    """`rows`, which a join as of that time found, with `since` and `earlier`: what they said `before` and say no more.

    What a join as of the same time had found is replaced, as nobody can tell the two apart by their time.
    """
    if before is None:
        # Most days of a first run: to look for what was never said would cost a shuffle each.
        nothing = F.lit(None).cast(_SCHEMA["earlier"].dataType)
        return rows.withColumns({"since": F.lit(known_before_ms), "earlier": nothing})
    # The version before did not say since when.
    state = F.struct(F.coalesce("since", F.lit(0)).alias("since"), *SAYS)
    # Where a writer was killed there may be two of a row: the newer one is what this one took the place of.
    was = before.groupBy(*(F.col(name).alias(f"_{name}") for name in IDENTITY)).agg(
        F.max_by(F.struct(state.alias("state"), "earlier"), F.coalesce("since", F.lit(0))).alias("_was")
    )
    found = rows.join(was, [F.col(name).eqNullSafe(F.col(f"_{name}")) for name in IDENTITY], "left")
    known, state, earlier = F.lit(known_before_ms), F.col("_was.state"), F.col("_was.earlier")
    same = reduce(lambda all_, one: all_ & one, [F.col(name).eqNullSafe(state[name]) for name in SAYS])
    stays = F.col("_was").isNotNull() & same
    ends = ~stays & (state["since"] < known)
    return found.withColumns(
        {
            "since": F.when(stays, state["since"]).otherwise(known),
            "earlier": F.when(ends, F.concat(F.coalesce(earlier, F.array()), F.array(state))).otherwise(earlier),
        }
    )

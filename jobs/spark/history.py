"""What joined rows said before: kept with them whenever their day is written anew, for who asks again as of a time."""

from __future__ import annotations

from collections.abc import Sequence
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


def rows_of(spark: SparkSession, urls: Sequence[str]) -> DataFrame | None:
    """The joined rows in some folders, with all columns; None where none of them is there."""
    there = [url for url, (fs, path) in ((url, open_lake(url)) for url in urls) if fs.exists(path)]
    return spark.read.schema(_SCHEMA).parquet(*map(spark_source, there)) if there else None


def with_history(rows: DataFrame, before: DataFrame | None, known_before_ms: int, *, within: str) -> DataFrame:
    """`rows`, which a join as of that time found, with `since` and `earlier`: what they said `before` and say no more.

    What a join as of the same time had found is replaced, as nobody can tell the two apart by their time.

    Args: within: column of both that holds the day of a row, in which its identity is its own.
    """
    if before is None:
        # A first run: to look for what was never said would cost a shuffle.
        nothing = F.lit(None).cast(_SCHEMA["earlier"].dataType)
        return rows.withColumns({"since": F.lit(known_before_ms), "earlier": nothing})
    # The version before did not say since when.
    state = F.struct(F.coalesce("since", F.lit(0)).alias("since"), *SAYS)
    # Where a writer was killed there may be two of a row: the newer one is what this one took the place of.
    identity = (within, *IDENTITY)
    was = before.groupBy(*(F.col(name).alias(f"_was_{name}") for name in identity)).agg(
        F.max_by(F.struct(state.alias("state"), "earlier"), F.coalesce("since", F.lit(0))).alias("_was")
    )
    found = rows.join(was, [F.col(name).eqNullSafe(F.col(f"_was_{name}")) for name in identity], "left")
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

"""What rows said before is kept through runs that are repeated, ended by a kill, or were of the version before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from jobs.spark.history import rows_of, with_history
from jobs.spark.lake import spark_url
from lamina.lake.joined import ASSUMED, SAID, SCHEMA, WAITING
from tests.joined_rows import joined_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OF_YESTERDAY = "of yesterday"
WAITS: dict[str, Any] = {"label": None, "label_status": WAITING}
HONEST: dict[str, Any] = {"label": 0.0, "label_timestamp": 15, "label_source": "analyst", "label_status": SAID}
FRAUD: dict[str, Any] = {"label": 1.0, "label_timestamp": 25, "label_source": "chargeback", "label_status": SAID}


def joined(spark: SparkSession, folder: Path, found: list[dict[str, Any]], known_ms: int) -> list[tuple[Any, ...]]:
    """The rows of a join as of a time that takes the place of what is in the folder: label, since, what it was."""
    new = folder.parent / f"{folder.name}-new"
    new.mkdir()
    # A join knows neither yet.
    pq.write_table(joined_rows(found).drop_columns(["since", "earlier"]), new / "part.parquet")
    rows = spark.read.parquet(spark_url(str(new))).withColumn("day", F.lit("today"))
    before = rows_of(spark, [str(folder.parent / "never"), str(folder)])
    if before is not None:
        before = before.withColumn(
            "day", F.when(F.col("model_version") == OF_YESTERDAY, "yesterday").otherwise("today")
        )
    made = with_history(rows, before, known_ms, within="day").select(*SCHEMA.names).toArrow()
    for file in (*new.iterdir(), *(folder.iterdir() if folder.exists() else ())):
        file.unlink()
    new.rmdir()
    folder.mkdir(exist_ok=True)
    pq.write_table(made, folder / "part.parquet")
    return [
        (row["label"], row["since"], [(each["label"], each["since"]) for each in row["earlier"] or ()])
        for row in made.sort_by("request_id").to_pylist()
    ]


def test_what_a_row_said_is_kept_with_since_when(spark: SparkSession, tmp_path: Path) -> None:
    folder, other = tmp_path / "day", {"request_id": "r-9", **WAITS}
    assert joined(spark, folder, [WAITS, other], 10) == [(None, 10, []), (None, 10, [])]
    assert joined(spark, folder, [HONEST, other], 20) == [(0.0, 20, [(None, 10)]), (None, 10, [])]
    # Run again as of the same time, with more that arrived: that takes the place of what it found before.
    found = joined(spark, folder, [FRAUD, other], 20)
    assert found == [(1.0, 20, [(None, 10)]), (None, 10, [])]
    assert joined(spark, folder, [FRAUD, other], 30) == found, "nothing new"
    # The same number by another's word is another thing to have said.
    bank = FRAUD | {"label_source": "bank"}
    assert joined(spark, folder, [bank, other], 40) == [(1.0, 40, [(None, 10), (1.0, 20)]), (None, 10, [])]


def test_rows_of_one_request_have_histories_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    """Two events of it, an answer to none, and a version in the shadow."""
    kinds: list[dict[str, Any]] = [{"event_id": "a"}, {"event_id": "b"}, {"event_id": None}]
    kinds.append({"event_id": "a", "shadow": True, "arm": "x"})
    rows = [{"request_id": "r", "model_version": str(n), **kind} for n, kind in enumerate(kinds)]
    folder = tmp_path / "day"
    joined(spark, folder, [row | WAITS for row in rows], 10)
    joined(spark, folder, [row | (HONEST if n else WAITS) for n, row in enumerate(rows)], 20)
    made = sorted(pq.read_table(folder).to_pylist(), key=lambda row: str(row["model_version"]))
    assert [(row["since"], len(row["earlier"] or ())) for row in made] == [(10, 0), (20, 1), (20, 1), (20, 1)]


def test_a_row_of_another_day_is_another_row(spark: SparkSession, tmp_path: Path) -> None:
    """A client may give an id again on the day after."""
    folder = tmp_path / "day"
    joined(spark, folder, [WAITS | {"model_version": OF_YESTERDAY}], 10)
    assert joined(spark, folder, [HONEST], 20) == [(0.0, 20, [])]


def test_what_a_killed_writer_left_twice_is_taken_once(spark: SparkSession, tmp_path: Path) -> None:
    """On an object store the files of before and after may both be there."""
    folder = tmp_path / "day"
    joined(spark, folder, [WAITS], 10)
    before = pq.read_table(folder / "part.parquet")
    joined(spark, folder, [HONEST], 20)
    pq.write_table(before, folder / "old.parquet")
    assert joined(spark, folder, [FRAUD], 30) == [(1.0, 30, [(None, 10), (0.0, 20)])]


def test_rows_of_the_version_before_were_so_always(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "day"
    folder.mkdir()
    old = joined_rows([{"label": 0.0, "label_status": ASSUMED}]).drop_columns(["since", "earlier"])
    pq.write_table(old, folder / "part.parquet")
    assert joined(spark, folder, [FRAUD], 30) == [(1.0, 30, [(0.0, 0)])]
    assert isinstance(pq.read_table(folder).column("earlier").type, pa.ListType)

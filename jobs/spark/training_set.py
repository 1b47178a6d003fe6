"""The features of every labelled row as they were at its time: the same formula as the online reader's, never the
future.

`python -m jobs.spark.training_set --system fraud --date 2018-08-21`, after `extract_data` for the same date. A rerun
replaces the features of the date.
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.extract_data import rows_url
from jobs.spark.lake import spark_source, spark_url, written_rows
from jobs.spark.point_in_time import features_at
from jobs.spark.revisions import events_of
from jobs.spark.session import make_session
from lamina.contracts.features import FeatureSet
from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.contracts.systems import System
from lamina.definitions import record
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.write import open_lake, replacing
from lamina.settings import load_settings

FEATURES = "features"


class RowsMissing(LaminaError):
    """The lake has no labelled rows for the asked day."""


def features_url(lake: str, system: str, day: date) -> str:
    """Folder of the features of the labelled rows for a logical date."""
    return f"{layout.training(lake, system, day)}/{FEATURES}"


def archived_features(
    spark: SparkSession, lake: str, features: FeatureSet, rows: DataFrame, *, until: date
) -> DataFrame:
    """`rows` with every feature, from the events that had arrived by the end of `until`."""
    ts = features.request.timestamp
    first = rows.agg(F.min(ts)).first()
    horizon_s: dict[str, int] = {}
    sources = {v.source.name: v.source for v in features.views}
    for view in features.views:
        horizon_s[view.source.name] = max(view.horizon, horizon_s.get(view.source.name, 0))
    events = {}
    for name, source in sources.items():
        from_ms = first[0] - horizon_s[name] * 1000 if first and first[0] is not None else None
        events[name] = events_of(spark, lake, source, from_ms=from_ms, until=until).frame
    return features_at(features, rows, events)


def build(spark: SparkSession, lake: str, system: System, day: date) -> dict[str, Any]:
    """Write the features of the rows of `day`; returns how many rows and columns.

    Raises: RowsMissing: when `extract_data` has not run for the day; DefinitionError: when the system has no label.
    """
    features, label = system.features, system.learnt_label
    origin = rows_url(lake, system.name, day)
    fs, path = open_lake(origin)
    if not fs.exists(path):
        raise RowsMissing(f"no rows at {origin}: run jobs.spark.extract_data for the same date first")
    rows = spark.read.parquet(spark_source(origin))
    request = features.request
    entity_keys = [e.key for e in features.entities]
    kept = dict.fromkeys((request.id, *entity_keys, request.timestamp, label.column, LABEL_TIMESTAMP, *label.beside))
    found = archived_features(spark, lake, features, rows, until=day)
    with replacing(features_url(lake, system.name, day)) as staging:
        found.select(*kept, *features.names).write.mode("append").parquet(spark_url(staging))
        written, expected = written_rows(staging), written_rows(origin)
        if written != expected:
            raise LaminaError(f"{written} rows of features from {expected} rows in {origin}: nothing was replaced")
    return {"rows": written, "features": len(features.names)}


def main(day: LogicalDate, system: SystemName = DEFAULT_SYSTEM, lake_url: LakeUrl = None) -> None:
    """Compute the features of the labelled rows of a logical date; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    spark = make_session("training_set")
    counts = build(spark, settings.lake_url, record(system), logical)
    report("training_set", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)

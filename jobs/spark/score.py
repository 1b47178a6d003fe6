"""The features of a day's labelled rows to scores: what the model would have answered to each at its time.

`python -m jobs.spark.score --system fraud --date 2018-08-21`, after `training_set` for the same date. The champion
scores, or the version asked for; a rerun replaces the model's scores of the date.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.lake import rows_without, spark_source, spark_url, written_rows
from jobs.spark.session import make_session
from jobs.spark.training_set import RowsMissing, features_url
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.write import open_lake, replacing
from lamina.registry.protocol import CHAMPION, ModelRegistry, ModelVersion, RegistryError, find
from lamina.scoring.frames import MODEL, VERSION, FrameScorer, files_of
from lamina.scoring.load import load as load_model
from lamina.scoring.protocol import SCORE
from lamina.settings import load_settings


class WrongModel(LaminaError):
    """A model that does not score the rows of the asked system."""


def chosen(registry: ModelRegistry, name: str, version: str) -> ModelVersion:
    """The version of `name` under the alias or of the number `version`.

    Raises: RegistryError: when there is none; says which there are.
    """
    if version.isdecimal():
        return find(registry, name, version)
    found = registry.alias(name, version)
    if found is None:
        raise RegistryError(
            f"no version of {name!r} has the alias {version}; registered are {', '.join(registry.names()) or 'none'}. "
            f"`lamina models promote {name} VERSION` makes a champion"
        )
    return found


def build(
    spark: SparkSession, lake: str, features: FeatureSet, day: date, version: ModelVersion, folder: Path
) -> dict[str, Any]:
    """Write the scores of the rows of `day` by `version`, whose files lie in `folder`; returns how many.

    A row to which the model gives no finite number has none; where it gives none to any, nothing is replaced.

    Raises: RowsMissing: when `training_set` has not run for the day; WrongModel: the model is of another system.
    """
    origin = features_url(lake, features.system, day)
    fs, path = open_lake(origin)
    if not fs.exists(path):
        raise RowsMissing(f"no features at {origin}: run jobs.spark.training_set for the same date first")
    scorer = load_model(folder)
    if scorer.system != features.system:
        raise WrongModel(
            f"model {version.name!r} reads features of {scorer.system}: score with --system {scorer.system}"
        )
    rows = spark.read.parquet(spark_source(origin))
    request = features.request
    kept = list(dict.fromkeys((request.id, *(e.key for e in features.entities), request.timestamp)))
    schema = StructType(
        [
            *(field for name in kept for field in rows.schema.fields if field.name == name),
            StructField(SCORE, DoubleType()),
            StructField(MODEL, StringType()),
            StructField(VERSION, StringType()),
        ]
    )
    wanted = rows.select(*dict.fromkeys((*kept, *scorer.names)))
    target = layout.predictions(lake, version.name, day)
    with replacing(target) as staging:
        scores = FrameScorer(files_of(folder), kept, version.name, version.version)
        wanted.mapInArrow(scores, schema).write.mode("append").parquet(spark_url(staging))
        written, expected = written_rows(staging), written_rows(origin)
        if written != expected:
            raise LaminaError(f"{written} scores of {expected} rows in {origin}: nothing was replaced")
        failed = rows_without(staging, SCORE)
        if failed and failed == written:
            raise WrongModel(
                f"version {version.version} of {version.name!r} gave no finite score to any of {written} rows: nothing "
                "was replaced. Look at its inputs (`lamina models show`), or score with another --version"
            )
    counts = {"rows": written, "failed": failed}
    return {**counts, "model": version.name, "version": version.version, "url": target}


def main(
    day: LogicalDate,
    system: SystemName = DEFAULT_SYSTEM,
    model: Annotated[str, typer.Option(help="Name of the registered model; else that of the system.")] = "",
    version: Annotated[str, typer.Option(help="Number of a version, or an alias.")] = CHAMPION,
    lake_url: LakeUrl = None,
) -> None:
    """Score the rows of a logical date; the last line is the counts as JSON."""
    from lamina.registry.mlflow import MlflowRegistry

    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    registry = MlflowRegistry(settings.mlflow_uri)
    found = chosen(registry, model or system, version)
    with tempfile.TemporaryDirectory(prefix="lamina-score-") as name:
        folder = registry.download(found.name, found.version, Path(name))
        counts = build(make_session("score"), settings.lake_url, load(system), logical, found, folder)
    report("score", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)

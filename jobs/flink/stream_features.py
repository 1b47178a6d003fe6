"""The stream job: events of Kafka to tiles on topic `feature-tiles`, all of it SQL, so that no event leaves the JVM.

Submit it to a cluster with `flink run --pyFiles dist/code.zip --pyModule jobs.flink.stream_features --system fraud
--bootstrap HOST:PORT`.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.flink.compile import compile_stream
from jobs.flink.options import StreamOptions, configuration
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.rollout.generation import read_features, stream_job_name
from lamina.semantics.plan import make_plan

if TYPE_CHECKING:
    from pyflink.table import TableResult


class StartMode(StrEnum):
    """Where reading begins when the job starts without a checkpoint."""

    EARLIEST = "earliest"
    LATEST = "latest"
    COMMITTED = "committed"


class Backend(StrEnum):
    """Where the job keeps its state: on disk, or in the task managers' heap."""

    ROCKSDB = "rocksdb"
    HASHMAP = "hashmap"


def submit(options: StreamOptions, features: FeatureSet) -> TableResult:
    """Build the job that keeps the tiles of `features`, submit it, and return once the cluster has accepted it.

    Where `options` give it no name, its name tells what it keeps: two versions of a definition are two jobs.
    """
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableEnvironment

    plan = make_plan(features)
    options = replace(options, name=options.name or stream_job_name(plan))
    chosen = Configuration()
    for name, value in configuration(options).items():
        chosen.set_string(name, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(chosen).build()
    tables = TableEnvironment.create(settings)
    sql = compile_stream(plan, options)
    for statement in sql.setup:
        tables.execute_sql(statement)
    together = tables.create_statement_set()
    for statement in sql.inserts:
        together.add_insert_sql(statement)
    return together.execute()


def main(
    system: Annotated[str, typer.Option(help="System whose definitions are run.")],
    bootstrap: Annotated[str, typer.Option(help="Kafka bootstrap servers.")],
    topic_prefix: Annotated[str, typer.Option(help="Put before every topic name.")] = "",
    definitions: Annotated[
        Path | None, typer.Option(help="File with recorded definitions, in the place of the system's own.")
    ] = None,
    group_id: Annotated[str, typer.Option(help="Consumer group; by default the job's name.")] = "",
    parallelism: Annotated[int, typer.Option(min=1)] = 1,
    checkpoint_interval_ms: Annotated[int, typer.Option(min=100)] = 10_000,
    checkpoint_dir: Annotated[str | None, typer.Option(help="URL; by default the cluster's own.")] = None,
    connector_jar: Annotated[str | None, typer.Option(help="Kafka connector, where the cluster lacks it.")] = None,
    start: Annotated[StartMode, typer.Option(help="Where to begin without a checkpoint.")] = StartMode.EARLIEST,
    mini_batch_ms: Annotated[
        int, typer.Option(min=0, help="Longest time an event waits for others; 0: not at all.")
    ] = 0,
    state_backend: Annotated[
        Backend, typer.Option(help="hashmap is faster and needs 1 KB of heap an event.")
    ] = Backend.ROCKSDB,
    until_now: Annotated[bool, typer.Option(help="End at the events that are there now.")] = False,
    wait: Annotated[bool, typer.Option(help="Stay until the job ends.")] = False,
) -> None:
    """Submit the stream job of one system."""
    result = submit(
        StreamOptions(
            system=system,
            bootstrap=bootstrap,
            topic_prefix=topic_prefix,
            group_id=group_id,
            start=start.value,
            parallelism=parallelism,
            checkpoint_interval_ms=checkpoint_interval_ms,
            checkpoint_dir=checkpoint_dir,
            connector_jar=connector_jar,
            mini_batch_ms=mini_batch_ms,
            state_backend=state_backend.value,
            until_now=until_now,
        ),
        read_features(definitions.read_text()) if definitions else load(system),
    )
    if wait:
        result.wait()


if __name__ == "__main__":
    typer.run(main)

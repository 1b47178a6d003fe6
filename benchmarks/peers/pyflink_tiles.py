"""The tiles by PyFlink's DataStream API: Python functions, called for every event, in workers of the same cluster.

Configuration, state backend, time to live and the table written to are those of lamina's own job, so what differs is
where an event is worked on. Submitted like it, by `flink run --pyModule`. Left out: what `benchmarks.peers.tiles`
leaves out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pyflink.common import Configuration, Row, Time, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.state import MapState, MapStateDescriptor, StateTtlConfig
from pyflink.table import StreamTableEnvironment

from benchmarks.peers.tiles import key_of, payload_of, start_of, with_event
from jobs.flink.options import StreamOptions, configuration
from lamina.store.protocol import SPEED_TTL_S


class Tiles(KeyedProcessFunction):
    """Keeps the tiles of each user, and sends one on with every event that changes it."""

    def __init__(self, tile_spec: str) -> None:
        self._tile_spec = tile_spec
        self._tiles: MapState

    def open(self, context: RuntimeContext) -> None:
        """Names the state."""
        state = MapStateDescriptor("tiles", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
        state.enable_time_to_live(StateTtlConfig.new_builder(Time.seconds(SPEED_TTL_S)).build())
        self._tiles = context.get_map_state(state)

    def process_element(self, event: Mapping[str, Any], context: KeyedProcessFunction.Context) -> Iterator[Row]:
        """The tile that `event` belongs to, with it."""
        start = start_of(event)
        found = with_event(self._tiles.get(start), event)
        if found is not None:
            self._tiles.put(start, found)
            yield Row(key_of(self._tile_spec, event["user_id"], start), payload_of(found))


def submit(bootstrap: str, source: str, target: str, tile_spec: str, jars: Sequence[str], parallelism: int) -> None:
    """Build the job and hand it to the cluster."""
    options = StreamOptions(
        system="fraud",
        bootstrap=bootstrap,
        parallelism=parallelism,
        state_backend="hashmap",
    )
    own = {"pipeline.name": "peer-pyflink", "pipeline.jars": ";".join(Path(jar).as_uri() for jar in jars)}
    chosen = Configuration()
    for name, value in (configuration(options) | own).items():
        chosen.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(chosen)
    messages = (
        KafkaSource.builder()
        .set_bootstrap_servers(bootstrap)
        .set_topics(source)
        .set_group_id("peer-pyflink")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    written = (
        environment.from_source(messages, WatermarkStrategy.no_watermarks(), "transactions")
        .map(orjson.loads)
        .key_by(lambda event: event["user_id"], key_type=Types.STRING())
        .process(Tiles(tile_spec), output_type=Types.ROW_NAMED(["key", "payload"], [Types.STRING(), Types.STRING()]))
    )
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(
        "CREATE TEMPORARY TABLE written (`key` STRING NOT NULL, payload STRING, PRIMARY KEY (`key`) NOT ENFORCED) "
        f"WITH ('connector' = 'upsert-kafka', 'topic' = '{target}', 'properties.bootstrap.servers' = '{bootstrap}', "
        "'properties.linger.ms' = '5', 'properties.batch.size' = '262144', 'properties.compression.type' = 'lz4', "
        "'key.format' = 'raw', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY')"
    )
    tables.from_data_stream(written).execute_insert("written")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--bootstrap", "--source", "--target", "--tile-spec"):
        parser.add_argument(option, required=True)
    parser.add_argument("--jars", nargs="+", required=True)
    parser.add_argument("--parallelism", type=int, required=True)
    submit(**vars(parser.parse_args()))

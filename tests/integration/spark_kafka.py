"""Run as a module: reads one topic by an offset range and as a stream, and prints both counts.

A process of its own: PySpark keeps one JVM a process, and the jars are given when that starts.
"""

from __future__ import annotations

import sys

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from pyspark.sql import SparkSession


def main(bootstrap: str, topic: str, *jars: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 2, 1)])
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for number in range(100):
        producer.send(topic, b"%d" % number, partition=number % 2)
    producer.flush()
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(jars))
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    options = {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "startingOffsets": "earliest"}
    ends = {
        "startingOffsets": f'{{"{topic}": {{"0": 5, "1": 5}}}}',
        "endingOffsets": f'{{"{topic}": {{"0": 15, "1": 25}}}}',
    }
    counted = session.read.format("kafka").options(**(options | ends)).load().count()
    stream = session.readStream.format("kafka").options(**options).load()
    query = stream.writeStream.format("memory").queryName("seen").trigger(availableNow=True).start()
    query.awaitTermination(120)
    print(f"range {counted} stream {session.table('seen').count()}")  # noqa: T201  (the answer)
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

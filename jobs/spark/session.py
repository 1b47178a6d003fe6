"""The one place that makes a Spark session, for `python -m` on a laptop and for spark-submit on a cluster alike."""

from __future__ import annotations

import logging
import os
import sys

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from lamina.local import jars
from lamina.settings import ROOT

# The answers of every job depend on these, so they hold wherever it runs.
ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}

# Defaults that spark-submit's --conf, or the cluster's own configuration, wins over.
DEFAULTS = {
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

# Only where this process starts the JVM: later is too late for memory, and on a cluster the addresses are not ours.
LOCAL = {
    "spark.master": "local[*]",
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def make_session(app: str, *, conf: dict[str, str] | None = None) -> SparkSession:
    """A session named `app`, or the one this process already has.

    Under spark-submit its options stand and only what nobody chose is added. Else a local Spark is started in this
    process.

    Args: conf: options that win over the defaults of this module, such as `{"spark.master": "local[2]"}`.
    """
    options = {**DEFAULTS, **_python(), **(conf or {}), **ALWAYS}
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        # Values given to the builder would override those of spark-submit, which only the running JVM knows.
        SparkContext._ensure_initialized()
        submitted = SparkConf()
        options = {k: v for k, v in options.items() if k in ALWAYS or not submitted.contains(k)}
    else:
        options = {**LOCAL, **_kafka_jars(), **options}
    builder = SparkSession.builder.appName(app)
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    # It tells of each connection that it closes, also when the process ends and what it would write to is closed.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    return session


def _python() -> dict[str, str]:
    """Local workers run this interpreter and find the code where it does; a cluster gets it by --py-files."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return {}
    # Only spark-submit reads `spark.pyspark.python`; a context that starts its own JVM asks the environment.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return {"spark.pyspark.python": sys.executable, "spark.executorEnv.PYTHONPATH": str(ROOT)}


def _kafka_jars() -> dict[str, str]:
    """Spark's Kafka source where `make jars` has fetched it; a cluster is given it by --jars or --packages."""
    if jars.missing("spark"):
        return {}
    return {"spark.jars": ",".join(str(jar) for jar in jars.spark_kafka())}

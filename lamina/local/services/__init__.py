"""The services of the local stack. A new one is a function here or beside, a line in `SERVICES` and its ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from lamina.local.service import Service, StackPlan
from lamina.local.services.airflow import airflow
from lamina.local.services.flink import flink
from lamina.local.services.kafka import kafka
from lamina.local.services.mlflow import mlflow
from lamina.local.services.opensearch import PORT_RANGE, opensearch
from lamina.local.services.own import api, sink
from lamina.local.services.redis import redis

SERVICES: Mapping[str, Callable[[StackPlan], Service]] = MappingProxyType(
    {
        "kafka": kafka,
        "redis": redis,
        "mlflow": mlflow,
        "flink": flink,
        "airflow": airflow,
        "sink": sink,
        "api": api,
        "opensearch": opensearch,
    }
)

OPTIONAL = frozenset({"opensearch"})
"""Started only when asked for by name."""

# The port each listener gets when it is free; 0 means any.
PORTS: Mapping[str, int] = MappingProxyType(
    {
        "kafka": 9092,
        "kafka_controller": 0,
        "redis": 6379,
        "mlflow": 5000,
        "flink": 8081,
        "flink_rpc": 0,
        "airflow": 8080,
        "sink_metrics": 9102,
        "api": 8000,
        "opensearch": PORT_RANGE[0],
        "opensearch_transport": 0,
    }
)

# Where a port is taken from when the well-known one is not free; anywhere, for those that are not named.
PORT_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType({"opensearch": PORT_RANGE})

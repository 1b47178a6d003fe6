"""`python -m benchmarks.peers.feast_read FILE`: writes features to Feast's online store on Redis, times their reading.

Run in the environment of the peers; FILE is made by `benchmarks.peers.feast_values`. A feature service names all
features, the registry is cached for ever, and an answer counts once it is a dictionary. Left out: on-demand views, and
so the features that come from the request itself.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.latency import percentiles, times_ms

if TYPE_CHECKING:
    from feast import FeatureStore

TIME = "event_timestamp"
SERVICE = "all"


def make_store(redis: str, views: Mapping[str, Mapping[str, Any]], folder: str) -> FeatureStore:
    """A store with `views` and a service of all their features, its registry in `folder`."""
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry={"path": f"{folder}/registry.db", "cache_ttl_seconds": 0},
            online_store={"type": "redis", "connection_string": redis},
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
        )
    )
    keys = sorted({view["key"] for view in views.values()})
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in keys}
    nowhere = FileSource(path=f"{folder}/none.parquet", timestamp_field=TIME)
    made = [
        FeatureView(
            name=name,
            entities=[entities[view["key"]]],
            schema=[Field(name=feature, dtype=Float64) for feature in view["features"]],
            source=nowhere,
            ttl=timedelta(0),
        )
        for name, view in views.items()
    ]
    store.apply([*entities.values(), *made, FeatureService(name=SERVICE, features=made)])
    return store


def write(store: FeatureStore, rows: Mapping[str, Sequence[Mapping[str, Any]]], features: Sequence[str]) -> None:
    """Put the rows of each view into the online store."""
    import pandas as pd

    for name, own in rows.items():
        table = pd.DataFrame(own).assign(**{TIME: datetime.now(UTC)})
        store.write_to_online_store(name, table.astype({f: "float64" for f in table.columns if f in features}))


def main(wanted: Mapping[str, Any]) -> dict[str, float | int]:
    """The figures."""
    requests, batch = wanted["requests"], wanted["batch"]
    features = [feature for view in wanted["views"].values() for feature in view["features"]]
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(wanted["redis"], wanted["views"], folder)
        write(store, wanted["rows"], features)
        service = store.get_feature_service(SERVICE)

        def read(chosen: list[dict[str, Any]]) -> dict[str, list[Any]]:
            found: dict[str, list[Any]] = store.get_online_features(features=service, entity_rows=chosen).to_dict()
            return found

        def one(i: int) -> None:
            read([requests[i % len(requests)]])

        def many(i: int) -> None:
            read([requests[(i * batch + j) % len(requests)] for j in range(batch)])

        found = read(requests)
        return {
            **percentiles("", times_ms(one, wanted["reads"], wanted["warm_up"])),
            **percentiles("batch_", times_ms(many, wanted["batches"], wanted["warm_up"] // batch)),
            "features": len(features),
            "different": different(wanted, found),
        }


def different(wanted: Mapping[str, Any], found: Mapping[str, Sequence[Any]]) -> int:
    """How many values came back otherwise than they were written; missing ones come back as None."""
    wrong = 0
    for name, view in wanted["views"].items():
        rows = {row[view["key"]]: row for row in wanted["rows"][name]}
        for i, request in enumerate(wanted["requests"]):
            row = rows[request[view["key"]]]
            for feature in view["features"]:
                got = found[feature][i]
                wrong += (None if got is None or got != got else got) != row[feature]
    return wrong


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))

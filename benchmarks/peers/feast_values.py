"""What a user of Feast would have in its online store: the features of every user and merchant, finished."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers.environment import peers_python
from lamina.semantics.plan import Plan
from lamina.semantics.reference import Value
from lamina.settings import ROOT

Request = Mapping[str, Any]


def views_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Key column and names of features by view; a ratio stands in the view of what it divides.

    What a request has part in, its amount or its time, is left out: it cannot be stored.
    """
    views: dict[str, dict[str, Any]] = {}
    homes = {}
    for feature in plan.features.window_features:
        view = views.setdefault(feature.view.name, {"key": feature.view.entity.key, "features": []})
        view["features"].append(feature.name)
        homes[feature.name] = view
    for ratio in plan.features.ratios:
        if ratio.numerator in homes and ratio.denominator in homes:
            homes[ratio.numerator]["features"].append(ratio.name)
    return views


def rows_of(
    views: Mapping[str, Mapping[str, Any]], requests: Sequence[Request], values: Sequence[Mapping[str, Value]]
) -> dict[str, list[dict[str, Any]]]:
    """One row an entity in each view: what was found for its newest request."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, view in views.items():
        own = {
            request[view["key"]]: {view["key"]: request[view["key"]], **{f: value[f] for f in view["features"]}}
            for request, value in zip(requests, values, strict=True)
        }
        found[name] = list(own.values())
    return found


def read_by_feast(
    plan: Plan,
    requests: Sequence[Request],
    values: Sequence[Mapping[str, Value]],
    redis_url: str,
    folder: Path,
    **sizes: int,
) -> dict[str, float | int]:
    """Figures of `benchmarks.peers.feast_read`, run in the environment of the peers on the Redis at `redis_url`.

    Args: values: the features of each request. sizes: `reads`, `batches`, `batch` and `warm_up`.
    """
    views, address = views_of(plan), urlsplit(redis_url)
    keys = sorted({view["key"] for view in views.values()})
    document = {
        "redis": f"{address.hostname}:{address.port},db=1",
        "views": views,
        "rows": rows_of(views, requests, values),
        "requests": [{key: request[key] for key in keys} for request in requests],
        **sizes,
    }
    wanted = folder / "feast.json"
    wanted.write_text(json.dumps(document))
    command = [str(peers_python()), "-m", "benchmarks.peers.feast_read", str(wanted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"reading by Feast failed (exit {done.returncode}): {done.stderr[-2000:]}")
    figures: dict[str, float | int] = json.loads(done.stdout.splitlines()[-1])
    return figures

"""The answer to what is taken and no more: events, labels and feedback. It counts as answered well."""

from __future__ import annotations

import orjson
from fastapi import Response

from lamina.monitoring import metrics


def accepted(topic: str, id_: str) -> Response:
    """202 for one event of `topic`, by the id that it is known by."""
    return taken(topic, orjson.dumps({"accepted": id_}))


def taken(topic: str, body: bytes) -> Response:
    """202 with a body of JSON, for a request whose events are published on `topic`."""
    metrics.REQUESTS_TAKEN.labels(topic).inc()
    return Response(body, 202, media_type="application/json")

"""The speed layer of an empty store, from the beginning of the compacted topic, beside a sink that goes on working."""

from __future__ import annotations

import uuid

from lamina.store.protocol import OnlineStore
from lamina.streams.sink import SinkOptions, TileSink


def replay(bootstrap: str, topic_prefix: str, store: OnlineStore) -> None:
    """Write every tile that the topic holds now to `store`.

    It reads in a group of its own, so that neither the sink's partitions nor its offsets are touched; a tile that the
    sink has written meanwhile is newer and stays.

    Raises: StoreUnavailable: when the store does not answer. StreamError: when Kafka does not.
    """
    group = f"lamina-rebuild-{uuid.uuid4().hex[:8]}"
    options = SinkOptions(
        bootstrap=bootstrap, topic_prefix=topic_prefix, group_id=group, from_start=True, until_now=True
    )
    TileSink(options, store).run()

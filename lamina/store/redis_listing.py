"""Of whom Redis holds anything: it is asked key by key, in small steps between which others have their turn."""

from __future__ import annotations

from collections.abc import Iterator

import redis
from redis.exceptions import RedisError

from lamina.store.protocol import batch_key, speed_key
from lamina.store.redis import ENTITIES_PER_SCAN, unavailable


class RedisListing:
    """Implements `Listing`. The constructor opens no connection."""

    def __init__(self, url: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )

    def ids(self, entity: str) -> Iterator[str]:
        """See `Listing.ids`."""
        speed = speed_key(entity, "")
        for prefix in (speed, batch_key(speed)):
            try:
                for key in self._redis.scan_iter(match=f"{prefix}*", count=ENTITIES_PER_SCAN):
                    yield key.decode().removeprefix(prefix)
            except RedisError as error:
                raise unavailable(error) from error

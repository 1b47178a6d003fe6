"""Which parts of a long write to Redis are done, kept in the same Redis: if its data is lost, so is the claim."""

from __future__ import annotations

import redis
from redis.exceptions import RedisError

from lamina.errors import StoreUnavailable

PROGRESS_TTL_S = 7 * 86_400


class Progress:
    """Numbers of the finished parts of one piece of work. The constructor opens no connection.

    Raises: StoreUnavailable: from any method, when Redis does not answer.
    """

    def __init__(self, url: str, work: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._key = f"lamina:progress:{work}"

    def done(self) -> frozenset[int]:
        """The finished parts; none when the work was never begun or ended more than a week ago."""
        try:
            found = self._redis.smembers(self._key)
        except RedisError as error:
            raise _unavailable(error) from error
        return frozenset(int(part) for part in found)

    def record(self, part: int) -> None:
        """Say that `part` is finished."""
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.sadd(self._key, part)
                pipe.expire(self._key, PROGRESS_TTL_S)
                pipe.execute()
        except RedisError as error:
            raise _unavailable(error) from error

    def clear(self) -> None:
        """Forget every finished part."""
        try:
            self._redis.delete(self._key)
        except RedisError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"Redis did not answer ({type(error).__name__}): check `lamina status` and LAMINA_REDIS_URL"
    )

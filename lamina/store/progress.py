"""Which parts of a long write to Redis are done, kept in the same Redis: if its data is lost, so is the claim."""

from __future__ import annotations

import redis
from redis.exceptions import RedisError

from lamina.store.protocol import WriteSequence
from lamina.store.redis import lost, sequence_key, unavailable

PROGRESS_TTL_S = 7 * 86_400

# KEYS: a writer's sequence number, the finished parts. ARGV: number of its last write, the part, time to live in
# seconds.
RECORD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""


class Progress:
    """Numbers of the finished parts of one piece of work. The constructor opens no connection.

    Raises: StoreUnavailable: from any method, when Redis does not answer.
    """

    def __init__(self, url: str, work: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._key = f"lamina:progress:{work}"
        self._record = self._redis.register_script(RECORD)

    def done(self) -> frozenset[int]:
        """The finished parts; none when the work was never begun or ended more than a week ago."""
        try:
            found = self._redis.smembers(self._key)
        except RedisError as error:
            raise unavailable(error) from error
        return frozenset(int(part) for part in found)

    def record(self, part: int, sequence: WriteSequence) -> None:
        """Say that `part` is finished, whose last write was `sequence`.

        Raises: WritesLost: when the server was restarted and no longer holds that write.
        """
        try:
            known = self._record(
                keys=[sequence_key(sequence.writer), self._key], args=[sequence.number, part, PROGRESS_TTL_S]
            )
        except RedisError as error:
            raise unavailable(error) from error
        if not known:
            raise lost(sequence)

    def clear(self) -> None:
        """Forget every finished part."""
        try:
            self._redis.delete(self._key)
        except RedisError as error:
            raise unavailable(error) from error

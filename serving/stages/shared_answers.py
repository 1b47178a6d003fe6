"""Answers that the API's processes share, in Redis: for a stated time, up to a stated number, and never in the way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from redis.exceptions import RedisError

from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.store.protocol import Command
from lamina.store.redis_reader import RedisExchange, without_errors
from serving.stages.repeats import DIGEST_BYTES, Turn

log = logging.getLogger(__name__)

CLAIMED, ANSWERED = b"?", b"="
TOKEN_BYTES = 16
FLUSH_S = 0.02
PATIENCE = 10
"""How many times the wait of a read one write may take: nobody waits for it."""
MOST_UNWRITTEN = 5_000

# KEYS: events. ARGV: milliseconds; of each a claim and the answer, empty for none. An answer stands under any
# claim of the same content, which characters 18 and on are, but never replaces one; a claim is released by its own
# attempt alone. All of them in one call: a call each costs the server more than what it does. What a full server
# refuses is passed over, and said at the end.
KEEP = """
local wrong = false
for i, key in ipairs(KEYS) do
  local claim, answer = ARGV[2 * i], ARGV[2 * i + 1]
  local held = redis.pcall('GET', key)
  local done = held
  if type(held) ~= 'table' then
    local alike = held and string.sub(held, 1, 1) == '?' and string.sub(held, 18) == string.sub(claim, 18)
    if not held or held == claim or (alike and answer ~= '') then
      if answer == '' then done = redis.pcall('DEL', key)
      else done = redis.pcall('SET', key, answer, 'PX', ARGV[1]) end
    end
  end
  if type(done) == 'table' and done.err then wrong = done end
end
return wrong
"""


class Recorded(NamedTuple):
    """What Redis holds of an event; implements `Found`."""

    digest: bytes
    answer: bytes | None


def key_of(event_id: str, space: str = "") -> str:
    """Where the answer to an event lies; an id may be long, and may say what a key of Redis should not.

    Args: space: keeps apart what has the same ids, such as a system's name.

    >>> key_of("t1"), key_of("t1", "shop")
    ('decided:391bbc3f95fd0429aba4ead7026fc4c0', 'decided:shop:391bbc3f95fd0429aba4ead7026fc4c0')
    """
    found = blake2b(event_id.encode(), digest_size=16).hexdigest()
    return f"decided:{space}:{found}" if space else f"decided:{found}"


class RedisAnswers:
    """Implements `SharedAnswers`. A claim ends by itself after `lease_ms`, so that a killed process holds none up.

    Args: window_s: how long an answer is kept; entries: of this process, those answered longest ago leave first;
    system: whose answers they are, for the metrics; space: of the ids, one a system.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_ms: int,
        window_s: int,
        lease_ms: int,
        entries: int,
        system: str,
        space: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = RedisExchange(url, timeout_s=timeout_ms * PATIENCE / 1000)
        self._window_s, self._lease_ms, self._entries, self._now = window_s, lease_ms, entries, monotonic
        self._system, self._space = system, space
        self._unwritten: list[tuple[Turn, bytes]] = []
        self._written: deque[tuple[str, float]] = deque()
        self._writing: asyncio.Task[None] | None = None

    def claim(self, turn: Turn) -> list[Command]:
        """See `SharedAnswers.claim`. Two plain commands, which Redis answers in less time than one script."""
        key = key_of(turn.event_id, self._space)
        return [("SET", key, _claim(turn), "NX", "PX", self._lease_ms), ("GET", key)]

    def found(self, turn: Turn, replies: Sequence[object]) -> Recorded | None:
        """See `SharedAnswers.found`."""
        claimed, held = replies
        if held == _claim(turn):
            return None
        if claimed is None and held is None:
            # It ended between the two: who asks again may have it.
            return Recorded(turn.digest, None)
        if not isinstance(held, bytes):
            raise StoreUnavailable(f"Redis keeps no claims: {replies}")
        if held[:1] == CLAIMED:
            return Recorded(held[1 + TOKEN_BYTES :], None)
        return Recorded(held[1 : 1 + DIGEST_BYTES], held[1 + DIGEST_BYTES :])

    def keep(self, turn: Turn, answer: bytes) -> None:
        """See `SharedAnswers.keep`."""
        self._write(turn, ANSWERED + turn.digest + answer)

    def release(self, turn: Turn) -> None:
        """See `SharedAnswers.release`."""
        self._write(turn, b"")

    async def close(self) -> None:
        """See `SharedAnswers.close`."""
        if self._writing is not None:
            await self._writing
        await self._redis.close()

    def _write(self, turn: Turn, value: bytes) -> None:
        if len(self._unwritten) >= MOST_UNWRITTEN:
            metrics.REPEATS.labels(self._system, "unwritten").inc()
            return
        self._unwritten.append((turn, value))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_all())

    async def _write_all(self) -> None:
        """Everything that waits, some milliseconds of it at a time: a round trip costs as much as many answers."""
        try:
            while self._unwritten:
                await asyncio.sleep(FLUSH_S)
                taken, self._unwritten = self._unwritten, []
                try:
                    await self._send(taken)
                except (RedisError, OSError, TimeoutError) as error:
                    metrics.REPEATS.labels(self._system, "unwritten").inc(len(taken))
                    log.debug("Redis takes no answers: %s", error)
        finally:
            self._writing = None

    async def _send(self, taken: Sequence[tuple[Turn, bytes]]) -> None:
        now = self._now()
        while self._written and self._written[0][1] <= now:
            self._written.popleft()
        keys = [key_of(turn.event_id, self._space) for turn, _ in taken]
        self._written.extend((key, now + self._window_s) for key, (_, value) in zip(keys, taken, strict=True) if value)
        told = (part for turn, value in taken for part in (_claim(turn), value))
        asked: list[Command] = [("EVAL", KEEP, len(keys), *keys, self._window_s * 1000, *told)]
        over = len(self._written) - self._entries
        if over > 0:
            asked.append(("UNLINK", *(self._written.popleft()[0] for _ in range(over))))
            metrics.REPEATS.labels(self._system, "forgotten").inc(over)
        without_errors(await self._redis.ask(asked))


def _claim(turn: Turn) -> bytes:
    return CLAIMED + turn.token + turn.digest

"""What is told to Redis of answers, and how long that may take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.store.protocol import Command
from serving.stages import shared_answers
from serving.stages.repeats import DIGEST_BYTES, Turn
from serving.stages.shared_answers import ANSWERED, CLAIMED, TOKEN_BYTES, Recorded, RedisAnswers, key_of

DIGEST = bytes(range(DIGEST_BYTES))


def turn(n: int, digest: bytes = DIGEST) -> Turn:
    return Turn(f"t{n}", digest, n.to_bytes(TOKEN_BYTES))


def count(outcome: str) -> float:
    return float(metrics.REPEATS.labels("shop", outcome)._value.get())


class Redis:
    """Notes what it is asked, and for how long one would wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.waits_s = list[Command](), set[float]()
        self.answers: list[Any] = []
        monkeypatch.setattr(shared_answers, "RedisExchange", self.within)
        monkeypatch.setattr(shared_answers, "FLUSH_S", 0)

    def within(self, url: str, timeout_s: float) -> Redis:
        self.waits_s.add(timeout_s)
        return self

    async def ask(self, asked: Sequence[Command]) -> list[Any]:
        self.asked += asked
        return self.answers or [None] * len(asked)

    async def close(self) -> None:
        pass


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Redis:
    return Redis(monkeypatch)


def answers(entries: int = 10, **changes: Any) -> RedisAnswers:
    settled: dict[str, Any] = {"timeout_ms": 30, "window_s": 60, "lease_ms": 500, "entries": entries, "system": "shop"}
    return RedisAnswers("redis://nowhere", **(settled | changes))


def test_a_write_may_take_ten_reads_time(redis: Redis) -> None:
    async def run() -> None:
        shared = answers()
        shared.keep(turn(1), b"answer")
        await shared.close()

    asyncio.run(run())
    assert redis.waits_s == {0.3}


def test_what_is_written_together_is_one_call(redis: Redis) -> None:
    async def run() -> None:
        shared = answers()
        shared.keep(turn(1), b"answer")
        shared.release(turn(2))
        await shared.close()

    asyncio.run(run())
    claims = [CLAIMED + turn(n).token + DIGEST for n in (1, 2)]
    told = [claims[0], ANSWERED + DIGEST + b"answer", claims[1], b""]
    assert redis.asked == [("EVAL", shared_answers.KEEP, 2, key_of("t1"), key_of("t2"), 60_000, *told)]


def test_the_oldest_answers_leave_first_and_none_that_has_ended(redis: Redis) -> None:
    now = [100.0]

    async def keep(shared: RedisAnswers, *numbers: int) -> list[Command]:
        redis.asked.clear()
        for n in numbers:
            shared.keep(turn(n), b"answer")
        assert shared._writing is not None
        await shared._writing
        return [command for command in redis.asked if command[0] == "UNLINK"]

    async def run() -> None:
        shared, before = answers(entries=3, monotonic=lambda: now[0]), count("forgotten")
        assert await keep(shared, 1, 2, 3) == []
        assert await keep(shared, 4) == [("UNLINK", key_of("t1"))]
        assert await keep(shared, 5, 6) == [("UNLINK", key_of("t2"), key_of("t3"))]
        assert count("forgotten") == before + 3
        now[0] += 60
        assert await keep(shared, 7) == [], "those before have ended by themselves"
        assert count("forgotten") == before + 3

    asyncio.run(run())


def test_an_answer_that_is_an_error_is_counted(redis: Redis) -> None:
    redis.answers = [ResponseError("no room")]

    async def run() -> None:
        shared, before = answers(), count("unwritten")
        shared.keep(turn(1), b"answer")
        shared.keep(turn(2), b"answer")
        await shared.close()
        assert count("unwritten") == before + 2

    asyncio.run(run())


def test_what_redis_holds_is_told_apart(redis: Redis) -> None:
    shared, mine = answers(), turn(1)
    (claim, look) = shared.claim(mine)
    assert claim == ("SET", key_of("t1"), CLAIMED + mine.token + DIGEST, "NX", "PX", 500)
    assert look == ("GET", key_of("t1"))
    other = bytes(DIGEST_BYTES)
    assert shared.found(mine, [True, claim[2]]) is None
    for token in (bytes(TOKEN_BYTES), b"\xff" * TOKEN_BYTES):
        assert shared.found(mine, [None, CLAIMED + token + other]) == Recorded(other, None)
    assert shared.found(mine, [None, ANSWERED + other + b"answer"]) == Recorded(other, b"answer")
    with pytest.raises(StoreUnavailable):
        shared.found(mine, [ResponseError("no room"), None])


def test_spaces_of_long_names_are_kept_apart() -> None:
    """Two systems may be asked about one event."""
    assert key_of("t1", "recommendations_home") != key_of("t1", "recommendations_shop")

"""The lanes of the reader for an event loop, without a server: who is answered when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lamina.store.protocol import Command, EntityReply, ReadKey, Snapshot
from lamina.store.redis_reader import LANES, AsyncRedisReader

SLOW = ReadKey("user", "slow", ())
QUICK = ReadKey("user", "quick", ())


class Held(AsyncRedisReader):
    """Answers at once, but for `SLOW`, which waits until it is let go."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1/0", timeout_ms=50)
        self.let_go = asyncio.Event()
        self.most = self.now = 0

    async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
        self.now += 1
        self.most = max(self.most, self.now)
        if SLOW in keys:
            await self.let_go.wait()
        else:
            await asyncio.sleep(0)
        self.now -= 1
        return Snapshot([EntityReply() for _ in keys], {})


def test_whoever_asks_in_the_turn_of_an_answer_finds_a_lane() -> None:
    """A lane that has ended serves nobody: a read that counted it among the open ones waited for the slow one."""

    async def ask() -> None:
        reader = Held()
        slow = [asyncio.create_task(reader.read([SLOW])) for _ in range(LANES - 1)]
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            for _ in range(20):
                await reader.read([QUICK])
        assert not any(task.done() for task in slow)
        reader.let_go.set()
        await asyncio.gather(*slow)

    asyncio.run(ask())


def test_all_lanes_end_together_and_all_are_open_again() -> None:
    async def ask() -> int:
        reader = Held()
        slow = [asyncio.create_task(reader.read([SLOW])) for _ in range(LANES)]
        await asyncio.sleep(0.01)

        async def again() -> None:
            await slow[0]
            await reader.read([QUICK])

        more = [asyncio.create_task(again()) for _ in range(5)]
        reader.let_go.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*slow, *more)
        return reader.most

    assert asyncio.run(ask()) <= LANES


def test_a_round_trip_asks_for_no_more_keys_than_it_may_but_for_those_of_one() -> None:
    asked: list[int] = []

    class Counting(Held):
        async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
            asked.append(len(keys))
            return await super()._read(keys, also)

    async def ask() -> list[int]:
        reader = Counting()
        reads = [reader.read([ReadKey("user", str(i), ())] * n) for i, n in enumerate((120, 80, 1, 300, 2, 3))]
        return [len(found.replies) for found in await asyncio.gather(*reads)]

    assert asyncio.run(ask()) == [120, 80, 1, 300, 2, 3]
    assert asked == [200, 1, 300, 5]


def test_whoever_gave_up_is_not_asked_for() -> None:
    asked: list[str] = []

    class Noting(Held):
        async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
            asked.extend(key.id for key in keys)
            return await super()._read(keys, also)

    async def ask() -> None:
        reader, slow = Noting(), list[asyncio.Task[Snapshot]]()
        for _ in range(LANES):
            slow.append(asyncio.create_task(reader.read([SLOW])))
            await asyncio.sleep(0.01)  # each in a lane of its own
        gone, stays = (asyncio.create_task(reader.read([ReadKey("user", name, ())])) for name in ("gone", "stays"))
        await asyncio.sleep(0.01)
        gone.cancel()
        reader.let_go.set()
        async with asyncio.timeout(5):
            await asyncio.gather(stays, *slow)

    asyncio.run(ask())
    assert sorted(set(asked)) == ["slow", "stays"]


def test_what_goes_along_is_answered_to_whoever_sent_it() -> None:
    class Echoing(Held):
        async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
            found = await super()._read(keys, also)
            found.also = [command[0] for command in also]
            return found

    async def ask() -> list[list[object]]:
        reader = Echoing()
        sent: list[list[Command]] = [[("a",)], [], [("b",), ("c",)], [("d",)]]
        return [list(found.also) for found in await asyncio.gather(*(reader.read([QUICK], own) for own in sent))]

    assert asyncio.run(ask()) == [["a"], [], ["b", "c"], ["d"]]


def test_an_error_of_any_kind_reaches_whoever_asked_and_closes_no_lane() -> None:
    class Broken(Held):
        async def _read(self, keys: Sequence[ReadKey], also: Sequence[Command]) -> Snapshot:
            if SLOW in keys:
                raise ZeroDivisionError
            return await super()._read(keys, also)

    async def ask() -> None:
        reader = Broken()
        async with asyncio.timeout(5):
            for _ in range(3 * LANES):
                with pytest.raises(ZeroDivisionError):
                    await reader.read([SLOW])
                await reader.read([QUICK])

    asyncio.run(ask())

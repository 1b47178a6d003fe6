"""A list is made once for a request, however often it is asked for."""

from __future__ import annotations

import asyncio

import pytest

from serving.stages.lists.once import Once
from tests.looped import looped


class Maker:
    """Counts; gives the number of the call, after `go`."""

    def __init__(self) -> None:
        self.calls, self.go, self.fails = 0, asyncio.Event(), False

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        await self.go.wait()
        if self.fails:
            raise RuntimeError("no list")
        return number


def once(make: Maker, now: list[float], *, window_s: float = 10, most: int = 100) -> Once[int]:
    return Once("shop", window_s=window_s, most=most, monotonic=lambda: now[0])


@looped
async def test_who_asks_again_or_meanwhile_gets_the_same_until_it_is_forgotten() -> None:
    make, now = Maker(), [0.0]
    asked = once(make, now)
    together = [asyncio.ensure_future(asked.of(("u1", "r1"), make)) for _ in range(3)]
    await asyncio.sleep(0)
    make.go.set()
    assert await asyncio.gather(*together) == [1, 1, 1]
    now[0] = 9.9
    assert await asked.of(("u1", "r1"), make) == 1
    assert await asked.of(("u2", "r1"), make) == 2
    assert await asked.of(("u1", "r2"), make) == 3
    now[0] = 10.0
    assert await asked.of(("u1", "r1"), make) == 4


@looped
async def test_what_failed_is_made_anew() -> None:
    make = Maker()
    make.go.set()
    make.fails = True
    asked = once(make, [0.0])
    with pytest.raises(RuntimeError, match="no list"):
        await asked.of(("u1", "r1"), make)
    make.fails = False
    assert await asked.of(("u1", "r1"), make) == 2


@looped
async def test_who_gives_up_ends_it_for_nobody_else() -> None:
    make = Maker()
    asked = once(make, [0.0])
    first, second, third = (asyncio.ensure_future(asked.of(("u1", "r1"), make)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)
    make.go.set()
    assert await third == 1
    assert first.cancelled() and second.cancelled()
    assert make.calls == 1


@looped
async def test_the_oldest_is_forgotten_where_there_are_too_many_and_nothing_is_kept_without_a_window() -> None:
    make = Maker()
    make.go.set()
    asked = once(make, [0.0], most=2)
    for user in ("u1", "u2", "u3"):
        await asked.of((user, "r1"), make)
    assert await asked.of(("u3", "r1"), make) == 3
    assert await asked.of(("u1", "r1"), make) == 4
    never = once(make, [0.0], window_s=0)
    assert [await never.of(("u1", "r1"), make) for _ in range(2)] == [5, 6]

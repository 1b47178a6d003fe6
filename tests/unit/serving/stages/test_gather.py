"""What arrives together is served together, and each gets its own answer, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from serving.stages.gather import MOST, Gatherer


class Doubler:
    """Doubles numbers, refuses negative ones, breaks at a hundred; remembers its groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, asked: Sequence[int]) -> AsyncIterator[int | Exception]:
        self.groups.append(list(asked))
        for number in asked:
            await asyncio.sleep(0)
            if number >= 100:
                raise RuntimeError("broken")
            yield ValueError(str(number)) if number < 0 else 2 * number


def ask(*numbers: int) -> tuple[list[list[int]], list[int | BaseException]]:
    async def run() -> tuple[list[list[int]], list[int | BaseException]]:
        serve = Doubler()
        gatherer = Gatherer(serve)
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(gatherer.ask(number) for number in numbers), return_exceptions=True)
        return serve.groups, list(found)

    return asyncio.run(run())


def test_one_turn_is_one_group() -> None:
    assert ask(1, 2, 3) == ([[1, 2, 3]], [2, 4, 6])


def test_what_comes_later_goes_alone() -> None:
    async def run() -> list[list[int]]:
        serve = Doubler()
        gatherer = Gatherer(serve)
        async with asyncio.timeout(5):
            assert [await gatherer.ask(1), await gatherer.ask(2)] == [2, 4]
        return serve.groups

    assert asyncio.run(run()) == [[1], [2]]


def test_groups_are_bounded() -> None:
    groups, found = ask(*range(MOST + 1))
    assert [len(group) for group in groups] == [MOST, 1] and len(found) == MOST + 1


def test_an_error_is_its_own_requests() -> None:
    _, found = ask(1, -1, 2)
    assert found[0] == 2 and isinstance(found[1], ValueError) and found[2] == 4


def test_what_ends_a_group_is_told_to_all_that_wait() -> None:
    _, found = ask(1, 100, 2)
    assert found[0] == 2
    assert [type(each) for each in found[1:]] == [RuntimeError, RuntimeError]


def test_who_gives_up_takes_nobodys_answer() -> None:
    async def run() -> int:
        gatherer = Gatherer(Doubler())
        first, second = (asyncio.create_task(gatherer.ask(number)) for number in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with asyncio.timeout(5):
            return await second

    assert asyncio.run(run()) == 4


def test_whoever_was_left_out_is_told() -> None:
    """A stage that answers fewer than it was asked keeps nobody waiting."""

    async def first_only(asked: Sequence[int]) -> AsyncIterator[int | Exception]:
        yield asked[0]

    async def run() -> list[int | BaseException]:
        gatherer: Gatherer[int, int] = Gatherer(first_only)
        asked = (gatherer.ask(number) for number in (1, 2, 3))
        async with asyncio.timeout(5):
            return list(await asyncio.gather(*asked, return_exceptions=True))

    found = asyncio.run(run())
    assert found[0] == 1 and [type(each) for each in found[1:]] == [RuntimeError, RuntimeError]


def test_a_group_that_is_cancelled_answers_all() -> None:
    async def hangs(asked: Sequence[int]) -> AsyncIterator[int | Exception]:
        await asyncio.Event().wait()
        yield 0

    async def run() -> list[int | BaseException]:
        gatherer: Gatherer[int, int] = Gatherer(hangs)
        waiting = [asyncio.create_task(gatherer.ask(number)) for number in (1, 2)]
        while not gatherer._tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in gatherer._tasks:
            task.cancel()
        async with asyncio.timeout(5):
            return list(await asyncio.gather(*waiting, return_exceptions=True))

    assert [type(each) for each in asyncio.run(run())] == [asyncio.CancelledError, asyncio.CancelledError]

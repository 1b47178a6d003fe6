"""Figures that are made once for all who look."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.console import kept
from serving.console.kept import Kept


class Made:
    """Counts how often it is made; waits until it may go on."""

    def __init__(self) -> None:
        self.times, self.may_go_on = 0, threading.Event()
        self.may_go_on.set()

    def __call__(self) -> int:
        assert self.may_go_on.wait(10)
        self.times += 1
        return self.times


def test_who_asks_while_it_is_made_waits_for_the_same() -> None:
    made, found = Made(), Kept(lambda: 0.0)
    made.may_go_on.clear()

    async def run() -> list[int]:
        asked = [asyncio.create_task(found.get("page", 5.0, made)) for _ in range(50)]
        await asyncio.sleep(0)
        made.may_go_on.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(run()) == [1] * 50 and made.times == 1


def test_it_is_made_anew_once_it_is_too_old() -> None:
    now_s, made = [100.0], Made()
    found = Kept(lambda: now_s[0])

    async def run() -> list[int]:
        seen = [await found.get("page", 5.0, made)]
        for at_s in (104.9, 105.0, 105.1):
            now_s[0] = at_s
            seen.append(await found.get("page", 5.0, made))
        return seen

    assert asyncio.run(run()) == [1, 1, 2, 2]


def test_it_is_kept_from_when_it_was_made() -> None:
    now_s, made = [100.0], Made()
    found = Kept(lambda: now_s[0])
    made.may_go_on.clear()

    async def run() -> list[int]:
        first = asyncio.create_task(found.get("page", 5.0, made))
        await asyncio.sleep(0)
        now_s[0] = 120.0
        made.may_go_on.set()
        seen = [await first]
        for at_s in (124.9, 125.0):
            now_s[0] = at_s
            seen.append(await found.get("page", 5.0, made))
        return seen

    assert asyncio.run(run()) == [1, 1, 2]


def test_what_takes_longer_than_it_is_kept_is_not_made_twice_at_once() -> None:
    now_s, made = [100.0], Made()
    found = Kept(lambda: now_s[0])
    made.may_go_on.clear()

    async def run() -> list[int]:
        first = asyncio.create_task(found.get("page", 5.0, made))
        await asyncio.sleep(0)
        now_s[0] += 10.0
        second = asyncio.create_task(found.get("page", 5.0, made))
        await asyncio.sleep(0)
        made.may_go_on.set()
        return [await first, await second]

    assert asyncio.run(run()) == [1, 1] and made.times == 1


def test_a_failure_is_kept_for_nobody() -> None:
    found, tries = Kept(lambda: 0.0), list[int]()

    def fails_once() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("away")
        return "there"

    async def run() -> str:
        with pytest.raises(OSError, match="away"):
            await found.get("page", 5.0, fails_once)
        return await found.get("page", 5.0, fails_once)

    assert asyncio.run(run()) == "there"


def test_who_goes_away_takes_it_from_nobody() -> None:
    made, found = Made(), Kept(lambda: 0.0)
    made.may_go_on.clear()

    async def run() -> int:
        first, second = (asyncio.create_task(found.get("page", 5.0, made)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        made.may_go_on.set()
        return await second

    assert asyncio.run(run()) == 1


def test_it_holds_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    found = Kept(lambda: 0.0)

    async def run() -> int:
        for n in range(10):
            await found.get(n, 5.0, lambda: 0)
        return len(found._found)

    assert asyncio.run(run()) == 3

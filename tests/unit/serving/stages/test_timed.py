"""A stage on a thread is waited for as long as its budget says, and no longer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lamina.monitoring import metrics
from serving.masking import REQUEST_ID
from serving.stages.timed import StageLate, TimedStage
from tests.looped import looped


def missed() -> float:
    return float(metrics.STAGES_MISSED.labels("shop", "candidates", "over_budget")._value.get())


@pytest.fixture
def stage() -> Iterator[TimedStage]:
    made = TimedStage("shop", "candidates", budget_ms=30, threads=1, waiting=2)
    yield made
    made.close()


@looped
async def test_what_is_in_time_is_given_and_what_it_raises_is_raised(stage: TimedStage) -> None:
    REQUEST_ID.set("r-7")
    before = missed()
    assert await stage.run(lambda: (threading.current_thread().name, REQUEST_ID.get())) == ("shop-candidates_0", "r-7")
    with pytest.raises(ZeroDivisionError):
        await stage.run(lambda: 1 // 0)
    assert missed() == before


@looped
async def test_a_time_out_of_the_work_itself_is_its_own(stage: TimedStage) -> None:
    def fails() -> None:
        raise TimeoutError("of the work")

    before = missed()
    with pytest.raises(TimeoutError, match="of the work"):
        await stage.run(fails)
    assert missed() == before


@looped
async def test_what_is_late_is_not_waited_for_and_ends_for_nobody(stage: TimedStage) -> None:
    go, began, before = threading.Event(), time.monotonic(), missed()
    with pytest.raises(StageLate, match="candidates of shop took more than 30 ms"):
        await stage.run(lambda: go.wait(10))
    assert time.monotonic() - began < 5
    assert missed() == before + 1
    go.set()
    await until(lambda: stage.under_way == 0)
    assert await stage.run(lambda: 3) == 3


@looped
async def test_while_late_work_fills_the_stage_nothing_new_is_begun(stage: TimedStage) -> None:
    go, begun = threading.Event(), list[int]()
    with pytest.raises(StageLate):
        await stage.run(lambda: go.wait(10))
    # It waits in vain for the only thread, and is taken off the queue: it is no more under way.
    with pytest.raises(StageLate, match="took more"):
        await stage.run(lambda: begun.append(1))
    assert stage.under_way == 1
    others = [asyncio.ensure_future(stage.run(lambda: begun.append(2))) for _ in range(2)]
    await asyncio.sleep(0)
    found = await asyncio.gather(*others, return_exceptions=True)
    assert [str(each).split(": ")[-1] for each in found if "not begun" in str(each)] == ["2 requests are at it"]
    go.set()
    await until(lambda: stage.under_way == 0)
    assert begun == []


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)

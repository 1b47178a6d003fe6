"""Work in the background that must not end before the service does: whatever raises is seen, counted and begun again.

Control path. A task that nobody waits for takes its exception along; here it becomes a log line, a metric, and a line
in the readiness, until the task does well again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lamina.monitoring import metrics
from serving.masking import mask

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object]]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Between a failure and the next try; doubled each time."""
OVERDUE_S = 120.0
"""A step that has not come back for so long hangs: nothing that is done here takes a fraction of it."""
SETTLED_S = 5.0
"""An endless task that was begun again and has lived for so long does well."""
LONGEST_TEXT = 200


@dataclass
class _Task:
    name: str
    step: Step
    every_s: float
    endless: bool
    failures: int = 0
    reason: str = ""
    began_s: float | None = None


@dataclass
class Background:
    """Runs tasks from `start` to `stop`; one that fails is tried again, after a while that grows with each failure.

    Args: first_wait_s, longest_wait_s: bounds of that while, in seconds; monotonic: seconds of a clock.
    """

    first_wait_s: float = FIRST_WAIT_S
    longest_wait_s: float = LONGEST_WAIT_S
    monotonic: Callable[[], float] = time.monotonic
    _tasks: list[_Task] = field(default_factory=list)
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    def every(self, seconds: float, name: str, step: Step) -> None:
        """Await `step` now and `seconds` after each time it came back."""
        self._tasks.append(_Task(name, step, seconds, endless=False))

    def keep(self, name: str, run: Step) -> None:
        """Await `run`, which is not to return."""
        self._tasks.append(_Task(name, run, 0.0, endless=True))

    def start(self) -> None:
        """Begin everything; needs a running event loop."""
        for task in self._tasks:
            metrics.BACKGROUND_FAILURES.labels(task.name)
        self._running = [asyncio.create_task(self._run(task), name=task.name) for task in self._tasks]

    async def stop(self, within_s: float) -> None:
        """Cancel everything, and wait until it has ended or `within_s` seconds have passed. Raises nothing."""
        for running in self._running:
            running.cancel()
        if not self._running:
            return
        _, left = await asyncio.wait(self._running, timeout=within_s)
        for running in left:
            log.error("the task %r did not end within %.0f s and is given up", running.get_name(), within_s)
            running.cancel()
        self._running = []

    @property
    def problems(self) -> str | None:
        """What is wrong now, by task, or None."""
        return "; ".join(found for task in self._tasks if (found := self._problem(task))) or None

    def _problem(self, task: _Task) -> str | None:
        at_work_s = None if task.began_s is None else self.monotonic() - task.began_s
        if task.failures and not (task.endless and at_work_s is not None and at_work_s > SETTLED_S):
            times = "once" if task.failures == 1 else f"{task.failures} times in a row"
            return f"{task.name} failed {times} and is tried again: {task.reason}"
        if not task.endless and at_work_s is not None and at_work_s > OVERDUE_S:
            return f"{task.name} has not come back for {at_work_s:.0f} s"
        return None

    async def _run(self, task: _Task) -> None:
        while True:
            task.began_s = began_s = self.monotonic()
            try:
                await task.step()
                if task.endless:
                    raise RuntimeError("it ended, and nobody told it to")
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                # Something that the step waited for was cancelled, not the task itself.
                wait_s = self._failed(task, began_s, RuntimeError("what it waited for was cancelled"))
            except Exception as error:
                wait_s = self._failed(task, began_s, error)
                if _is_cancelled():
                    # It failed while it ended: there is no next try.
                    return
            else:
                task.failures, wait_s = 0, task.every_s
            task.began_s = None
            await asyncio.sleep(wait_s)

    def _failed(self, task: _Task, began_s: float, error: Exception) -> float:
        """Note a failure; returns the seconds until the next try."""
        if task.endless and self.monotonic() - began_s > SETTLED_S:
            task.failures = 0
        task.failures += 1
        task.reason = mask(one_line(error))
        metrics.BACKGROUND_FAILURES.labels(task.name).inc()
        if task.failures == 1:
            log.error("the background task %r failed", task.name, exc_info=error)
        else:
            log.error("the background task %r failed %d times in a row: %s", task.name, task.failures, task.reason)
        return max(task.every_s, min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(task.failures - 1, 30)))


def _is_cancelled() -> bool:
    me = asyncio.current_task()
    return me is None or me.cancelling() > 0


async def take_down(steps: Sequence[tuple[str, float, Step]]) -> None:
    """Await every step in its order, each for its seconds at most: what one raises keeps no other from its turn.

    Args: steps: name, longest time in seconds, and what to do. Raises: nothing; what went wrong is logged.
    """
    for name, within_s, step in steps:
        try:
            async with asyncio.timeout(within_s):
                await step()
        except TimeoutError:
            log.error("at the end, %s took longer than %.0f s and was left", name, within_s)
        except (Exception, asyncio.CancelledError):
            # Whoever is in a hurry and cancels this, too, loses by what would be left undone.
            log.exception("at the end, %s failed", name)


def one_line(error: BaseException) -> str:
    r"""Kind and first line of an error, short.

    >>> one_line(OSError("no space left\non the device"))
    'OSError: no space left'
    """
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}"[:LONGEST_TEXT] if text else type(error).__name__

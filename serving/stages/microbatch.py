"""Rows of many requests scored together: one call of a model for up to so many rows, or for what came in so long.

A call costs a model the same work around one row as around a hundred. The calls run in a thread of their own, so that
requests that need no model go on meanwhile. Hot path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lamina.errors import BadScore, Overloaded
from lamina.monitoring import metrics
from lamina.scoring.checked import finite, scores_of
from lamina.scoring.protocol import Scorer, Value
from serving.stages.model import Model

log = logging.getLogger(__name__)

Row = Mapping[str, Value]


@dataclass
class _Batch:
    """Rows for one model that wait for more."""

    rows: list[Row] = field(default_factory=list)
    scores: list[asyncio.Future[float | None]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class MicroBatcher:
    """Scores rows in batches, each row's place kept. A row that fails has no score and costs no other row its own.

    Args: most_rows: a batch of so many is scored at once; wait_ms: a smaller one after that long; queue_rows: rows
    that may wait or be scored at once.
    """

    def __init__(self, *, most_rows: int, wait_ms: float, queue_rows: int) -> None:
        self._most, self._wait_s, self._queue_rows = most_rows, wait_ms / 1000, queue_rows
        self._waiting: dict[Model, _Batch] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self.rows = 0

    async def score(self, model: Model, rows: Sequence[Row]) -> list[float | None]:
        """The score of each row by `model`; None where the model failed on it, or gave no finite number.

        Raises: Overloaded: so many rows wait that these would come too late; none of them is scored.
        """
        if self.rows + len(rows) > self._queue_rows:
            metrics.REQUESTS_SHED.inc()
            raise Overloaded(f"{self.rows} rows wait for a model already, of {self._queue_rows} at most")
        self.rows += len(rows)
        loop = asyncio.get_running_loop()
        scores = [self._add(loop, model, row) for row in rows]
        # Waited for rather than gathered: who gives up does not take the others' scores away.
        if scores:
            await asyncio.wait(scores)
        return [score.result() for score in scores]

    def close(self) -> None:
        """Let the thread end, after what it has begun."""
        self._thread.shutdown(wait=True)

    def _add(self, loop: asyncio.AbstractEventLoop, model: Model, row: Row) -> asyncio.Future[float | None]:
        batch = self._waiting.get(model)
        if batch is None:
            batch = self._waiting[model] = _Batch()
            batch.timer = loop.call_later(self._wait_s, self._dispatch, model)
        score: asyncio.Future[float | None] = loop.create_future()
        batch.rows.append(row)
        batch.scores.append(score)
        if len(batch.rows) >= self._most:
            self._dispatch(model)
        return score

    def _dispatch(self, model: Model) -> None:
        batch = self._waiting.pop(model)
        if batch.timer is not None:
            batch.timer.cancel()
        task = asyncio.create_task(self._run(model, batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, model: Model, batch: _Batch) -> None:
        metrics.PREDICT_BATCH_ROWS.observe(len(batch.rows))
        loop = asyncio.get_running_loop()
        found: Sequence[float | None] = [None] * len(batch.rows)
        try:
            found = await loop.run_in_executor(self._thread, _scores, model, batch.rows)
        except RuntimeError as error:
            # The thread is shut down, as the service is.
            log.warning("version %s of %s cannot be asked: %s", model.version, model.name, error)
        finally:
            # Whatever happened, a cancellation included: nobody may wait for ever.
            self.rows -= len(batch.rows)
            for place, score in enumerate(batch.scores):
                score.set_result(found[place])


def _scores(model: Model, rows: Sequence[Row]) -> list[float | None]:
    """As many as there are rows, whatever the model does."""
    try:
        return [_finite(value) for value in scores_of(model.scorer, rows)]
    except Exception as error:
        log.warning("version %s of %s failed on %d rows: %s", model.version, model.name, len(rows), error)
    return [_alone(model.scorer, row) for row in rows]


def _alone(scorer: Scorer, row: Row) -> float | None:
    try:
        return finite(scorer.predict(row))
    except Exception as error:
        log.debug("a row has no score: %s", error)
        return None


def _finite(value: float) -> float | None:
    try:
        return finite(value)
    except BadScore:
        return None

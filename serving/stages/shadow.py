"""Shadows: what another model would have said. Off the response path, in a thread, and never waited for.

They are envelopes on the topic of the answers, marked as shadows, under the id of the request that was answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, Protocol

from lamina.clock import Clock
from lamina.contracts.served import MODEL, MODEL_FAILED, NO_FALLBACK, ModelUsed, Served
from lamina.contracts.topics import predictions_of
from lamina.monitoring import metrics
from lamina.scoring.checked import outputs_of
from serving.stages.routing import Lane
from serving.stages.stopwatch import NS_PER_MS

log = logging.getLogger(__name__)

WAITING = 10_000
# Small: scoring a chunk holds the interpreter for less than a request takes.
CHUNK = 16
PAUSE_S = 0.02


class Publisher(Protocol):
    """Where events go."""

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send `value` to `topic`."""


class _Scored(NamedTuple):
    lane: Lane
    served: Served
    outputs: dict[str, float]
    model_ms: float


class ShadowScorer:
    """Scores requests again by the models of shadow arms, and publishes what these say.

    Scores that cannot be caught up with (more than `WAITING` of them) are left out and counted: answers come first.
    """

    def __init__(self, events: Publisher, *, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._waiting: deque[tuple[Lane, Served]] = deque()

    def offer(self, lane: Lane, served: Served) -> None:
        """Take the answer `served`, whose features are to be scored later. Hot path."""
        if len(self._waiting) >= WAITING:
            metrics.SHADOW_SCORES.labels(served.system, str(lane.arm), "left_out").inc()
            return
        self._waiting.append((lane, served))

    async def run(self) -> None:
        """Score what was offered, until cancelled; what waits then is scored before the end."""
        try:
            while True:
                await asyncio.sleep(PAUSE_S)
                await self.drain()
        finally:
            with suppress(asyncio.CancelledError):
                await self.drain()

    async def drain(self) -> None:
        """Score and publish everything offered so far."""
        while self._waiting:
            # Taken out only once scored, so that a cancellation meanwhile loses none.
            chunk = list(islice(self._waiting, CHUNK))
            found = await asyncio.to_thread(_score, chunk)
            for _ in chunk:
                self._waiting.popleft()
            for scored in found:
                self._publish(scored)

    def _publish(self, scored: _Scored) -> None:
        lane, served, outputs, model_ms = scored
        running, arm, model = lane.running, lane.arm, lane.model
        assert running is not None and arm is not None and model is not None, "a shadow is an experiment's"
        running.observe(arm, model_ms, next(iter(outputs.values()), None))
        metrics.SHADOW_SCORES.labels(served.system, arm, "scored" if outputs else "failed").inc()
        shadow = Served(
            system=served.system,
            request_id=served.request_id,
            event_id=served.event_id,
            subjects=served.subjects,
            outputs=outputs,
            models={MODEL: ModelUsed(name=model.name, version=model.version)},
            fallback=NO_FALLBACK if outputs else MODEL_FAILED,
            experiment=running.label,
            arm=arm,
            bucket=lane.bucket,
            shadow=True,
            features={},
            seen={},
            through={},
            timestamp=served.timestamp,
            served_at=self._clock(),
            latency_ms=model_ms,
        )
        self._events.publish(predictions_of(shadow.system), shadow.key, shadow.to_json())


def _score(chunk: Sequence[tuple[Lane, Served]]) -> list[_Scored]:
    found = []
    for lane, served in chunk:
        running, model = lane.running, lane.model
        if running is None or model is None or lane.arm in running.off:
            continue
        began = time.perf_counter_ns()
        outputs: dict[str, float] = {}
        try:
            outputs = outputs_of(model.scorer, served.features)
        except Exception as error:
            log.debug("version %s failed in the shadow: %s", model.version, error)
        found.append(_Scored(lane, served, outputs, (time.perf_counter_ns() - began) / NS_PER_MS))
    return found

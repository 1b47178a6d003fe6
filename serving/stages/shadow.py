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
from lamina.scoring.checked import probability
from serving.stages.routing import ShadowLane
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
    lane: ShadowLane
    served: Served
    score: float | None
    model_ms: float


class ShadowScorer:
    """Scores requests again by the models of shadow arms, and publishes what these say.

    Scores that cannot be caught up with (more than `WAITING` of them) are left out and counted: answers come first.
    """

    def __init__(self, events: Publisher, *, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._waiting: deque[tuple[ShadowLane, Served]] = deque()

    def offer(self, lane: ShadowLane, served: Served) -> None:
        """Take the answer `served`, whose features are to be scored later. Hot path."""
        if len(self._waiting) >= WAITING:
            metrics.SHADOW_SCORES.labels(lane.arm, "left_out").inc()
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
        lane, served, score, model_ms = scored
        lane.running.observe(lane.arm, model_ms, score)
        metrics.SHADOW_SCORES.labels(lane.arm, "failed" if score is None else "scored").inc()
        shadow = Served(
            system=served.system,
            request_id=served.request_id,
            event_id=served.event_id,
            subjects=served.subjects,
            outputs={} if score is None else {lane.model.scorer.outputs[0]: score},
            models={MODEL: ModelUsed(name=lane.model.name, version=lane.model.version)},
            fallback=MODEL_FAILED if score is None else NO_FALLBACK,
            experiment=lane.running.label,
            arm=lane.arm,
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


def _score(chunk: Sequence[tuple[ShadowLane, Served]]) -> list[_Scored]:
    found = []
    for lane, served in chunk:
        if lane.arm in lane.running.off:
            continue
        began = time.perf_counter_ns()
        score: float | None = None
        try:
            score = probability(lane.model.scorer.predict(served.features))
        except Exception as error:
            log.debug("version %s failed in the shadow: %s", lane.model.version, error)
        found.append(_Scored(lane, served, score, (time.perf_counter_ns() - began) / NS_PER_MS))
    return found

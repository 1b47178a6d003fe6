"""Shadow scores: what another model would have said. Off the response path, in a thread, and never waited for."""

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
from lamina.contracts.fraud_decisions import Decision, ShadowScore
from lamina.contracts.topics import SHADOW_SCORES
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
    decision: Decision
    score: float | None
    model_ms: float


class ShadowScorer:
    """Scores decisions again by the models of shadow arms, and publishes what these say.

    Scores that cannot be caught up with (more than `WAITING` of them) are left out and counted: answers come first.
    """

    def __init__(self, events: Publisher, *, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._waiting: deque[tuple[ShadowLane, Decision]] = deque()

    def offer(self, lane: ShadowLane, decision: Decision) -> None:
        """Take `decision`, to be scored later. Hot path."""
        if len(self._waiting) >= WAITING:
            metrics.SHADOW_SCORES.labels(lane.arm, "left_out").inc()
            return
        self._waiting.append((lane, decision))

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
        lane, decision, score, model_ms = scored
        lane.running.observe(lane.arm, model_ms, score)
        metrics.SHADOW_SCORES.labels(lane.arm, "failed" if score is None else "scored").inc()
        event = ShadowScore(
            request_id=decision.request_id,
            transaction_id=decision.transaction_id,
            user_id=decision.user_id,
            experiment=lane.running.label,
            arm=lane.arm,
            bucket=lane.bucket,
            model_name=lane.model.name,
            model_version=lane.model.version,
            score=score,
            decided_version=decision.model_version,
            decided_score=decision.score,
            timestamp=decision.timestamp,
            scored_at=self._clock(),
        )
        self._events.publish(SHADOW_SCORES, decision.user_id, event.to_json())


def _score(chunk: Sequence[tuple[ShadowLane, Decision]]) -> list[_Scored]:
    found = []
    for lane, decision in chunk:
        if lane.arm in lane.running.off:
            continue
        began = time.perf_counter_ns()
        score: float | None = None
        try:
            score = probability(lane.model.scorer.predict(decision.features))
        except Exception as error:
            log.debug("version %s failed in the shadow: %s", lane.model.version, error)
        found.append(_Scored(lane, decision, score, (time.perf_counter_ns() - began) / NS_PER_MS))
    return found

"""Requests answered stage by stage, for any system: who came first, read, and what `Maker` does with it. Hot path.

What arrives together is answered together: one round trip reads the features of all, one call of each model scores
them, one write logs them. Features come first because what a system decides before the score may need the past.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Generic

from lamina.contracts.base import json_of
from lamina.contracts.served import Served
from lamina.errors import RepeatedOtherwise, StoreUnavailable
from lamina.monitoring import metrics
from lamina.store.protocol import Snapshot
from serving.checks import secrets_of
from serving.masking import REQUEST_ID, TOKENS
from serving.stages.budget import Budget
from serving.stages.case import Case, J
from serving.stages.features import FeatureStage
from serving.stages.gather import Gatherer
from serving.stages.kind import E, RequestKind
from serving.stages.making import Maker
from serving.stages.repeats import WAIT_S, Repeats
from serving.stages.stopwatch import NS_PER_MS

log = logging.getLogger(__name__)

TOGETHER = 16
"""Answers made at a time: for so long other requests wait."""


class Pipeline(Generic[E, J]):
    """Answers the requests of one system. What arrives together is answered together.

    Args: repeats: who came first with an event; patience_ms: so long another process may take for an event that came to
    it first.
    """

    def __init__(
        self,
        kind: RequestKind[E],
        features: FeatureStage,
        repeats: Repeats[E],
        maker: Maker[E, J],
        budget: Budget,
        *,
        patience_ms: float,
    ) -> None:
        self._kind, self._features, self._repeats, self._maker = kind, features, repeats, maker
        self._patience_s = patience_ms / 1000
        self._deadline_ns = round(budget.deadline_ms * NS_PER_MS)
        self._reading = Gatherer(self._read)
        self._making = Gatherer(self._make_group)

    async def answer(self, case: Case[E, J]) -> Served:
        """The answer to one request.

        Raises: RepeatedOtherwise: the event's id was used for another content; DecisionPending: the same event is being
        answered, and not in time.
        """
        known, first = self._begin(case, self._deadline_ns)
        if known is not None:
            return known
        if not first:
            return await case.turn.answer()
        try:
            # Twice: one round trip may answer several groups, which then go on as one.
            await self._reading.ask(case)
            elsewhere = None if case.held is None else await self._waited(case)
            return await self._making.ask(case) if elsewhere is None else elsewhere
        except BaseException as error:
            self._repeats.failed(case.turn, error)
            raise

    async def answer_all(self, cases: Sequence[Case[E, J]]) -> list[Served]:
        """An answer to each, in order, all from one round trip: none sees another of the same call in its features.

        Raises: as `answer`, before anything of the call is answered where an id was used for another content.
        """
        # Whoever sends many at once waits for all of them.
        wait_ns = self._deadline_ns * len(cases)
        planned: list[tuple[Case[E, J], Served | None, bool]] = []
        try:
            for case in cases:
                planned.append((case, *self._begin(case, wait_ns)))
            mine = [case for case, _, first in planned if first]
            if mine:
                _raise_first([found async for found in self._read(mine)])
            _raise_first([found async for found in self._make([case for case in mine if case.held is None])])
            # Its own first: two calls that wait for each other would both wait in vain.
            for case in (case for case in mine if case.held is not None):
                if await self._waited(case) is None:
                    await self._making.ask(case)
            return [known or await case.turn.answer() for case, known, _ in planned]
        except BaseException:
            for case, _, first in planned:
                if first:
                    # The error is about one of the call; who waits for another of them is to ask again.
                    self._repeats.failed(case.turn, self._repeats.pending())
            raise

    def _begin(self, case: Case[E, J], wait_ns: int) -> tuple[Served | None, bool]:
        """The answer where this process has it, and whether it is to be made here."""
        case.row = self._kind.row(case.event)
        case.raw = json_of(case.row)
        case.until_ns = case.started_ns + wait_ns
        case.turn, known, first = self._repeats.turn(str(case.row[self._kind.id]), case.raw, explain=case.explain)
        return known, first

    async def _waited(self, case: Case[E, J]) -> Served | None:
        """The answer of the process that came first, or None where it is this one's to make after all."""
        until_s = time.monotonic() + self._patience_s
        while case.held is not None:
            if case.held.answer is not None:
                return self._repeats.answered(case.turn, case.held.answer)
            if time.monotonic() > until_s:
                metrics.REPEATS.labels(self._kind.system, "pending").inc()
                raise self._repeats.pending()
            await asyncio.sleep(WAIT_S)
            await self._reading.ask(case)
        # That process died on it. The time that was waited is not the model's.
        case.until_ns = time.perf_counter_ns() + self._deadline_ns
        return None

    async def _read(self, cases: Sequence[Case[E, J]]) -> AsyncIterator[Case[E, J] | Exception]:
        """Each with what the store holds of it, from one round trip."""
        began = time.perf_counter_ns()
        turns = [case.turn for case in cases]
        parts: Sequence[Snapshot | None] = [None] * len(cases)
        try:
            rows = [case.row for case in cases]
            times: list[int] = [row[self._kind.time] for row in rows]  # type: ignore[misc]
            parts = await self._features.read_each(rows, times, self._repeats.claim(turns))
        except StoreUnavailable as error:
            log.debug("no features: %s", error)
            self._repeats.unchecked(turns)
        read_ns = time.perf_counter_ns() - began
        for case, part in zip(cases, parts, strict=True):
            case.snapshot, case.read_ns = part, read_ns
            yield self._claimed(case)

    def _claimed(self, case: Case[E, J]) -> Case[E, J] | Exception:
        case.held = None
        if case.snapshot is not None:
            try:
                case.held = self._repeats.claimed(case.turn, case.snapshot.also)
            except StoreUnavailable as error:
                log.debug("a repetition would not be seen: %s", error)
                self._repeats.unchecked([case.turn])
            except RepeatedOtherwise as error:
                return error
        return case

    async def _make_group(self, cases: Sequence[Case[E, J]]) -> AsyncIterator[Served | Exception]:
        """Of several requests, whose secrets the log lines of all must not repeat."""
        TOKENS.set(secrets_of([case.event for case in cases]))
        REQUEST_ID.set(cases[0].request_id if len(cases) == 1 else None)
        async for found in self._make(cases):
            yield found

    async def _make(self, cases: Sequence[Case[E, J]]) -> AsyncIterator[Served | Exception]:
        make_few = self._maker.of_this_moment()
        for begin in range(0, len(cases), TOGETHER):
            if begin:
                await asyncio.sleep(0)  # lets other requests go in between
            few = cases[begin : begin + TOGETHER]
            for case, found in zip(few, make_few(few), strict=True):
                if isinstance(found, Served):
                    self._repeats.decided(case.turn, found)
                yield found


def _raise_first(found: Sequence[object]) -> None:
    for each in found:
        if isinstance(each, Exception):
            raise each

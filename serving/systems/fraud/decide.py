"""Decisions, stage by stage: features, rules, model, risk, log. Hot path: what arrives together is decided together.

The features come first because some rules need the past, all in one round trip. A rule's verdict stands against the
model's: the more severe of both is the action. The model scores what a rule rejects as well, for under a millisecond:
decisions without a score would leave holes in every figure about the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from lamina.clock import Clock
from lamina.contracts.fraud_decisions import (
    FRAUD,
    MERCHANT,
    PREDICTIONS,
    SCORE,
    USER,
    Action,
    Decision,
    Fallback,
    answer_of,
    models_of,
    payload_of,
)
from lamina.contracts.reasons import Reason
from lamina.contracts.served import Served
from lamina.contracts.transactions import TRANSACTIONS
from lamina.errors import RepeatedOtherwise, StoreUnavailable
from lamina.monitoring import metrics
from lamina.rules.book import RuleBook
from lamina.store.protocol import Snapshot
from lamina.store.reader import FeatureVector
from serving.masking import REQUEST_ID, TOKENS
from serving.stages.explain import explained
from serving.stages.features import FeatureStage
from serving.stages.gather import Gatherer
from serving.stages.inquiry import Asked, Inquiry, row_of
from serving.stages.log import EventLog, Outgoing
from serving.stages.model import Model
from serving.stages.repeats import WAIT_S, Found, Repeats, pending
from serving.stages.routing import Lane, Lineup, Routing
from serving.stages.score import score_all
from serving.stages.shadow import ShadowScorer
from serving.stages.stopwatch import NS_PER_MS, Stopwatch
from serving.systems.fraud.decision_metrics import record_metrics
from serving.systems.fraud.risk import Verdict, settle
from serving.systems.fraud.rule_engine import RuleEngine

log = logging.getLogger(__name__)

TOGETHER = 16
"""Decisions made at a time: for so long other requests wait."""
NO_COSTS = (None, None, None)
NO_FEATURES = FeatureVector({}, {}, {}, None, frozenset(), frozenset())


class _Read(NamedTuple):
    """An inquiry with what the store holds of it, or None where the store did not answer; and how long that took.

    `held`: what another process makes, or made, of the same transaction; None where it is this one's to decide.
    """

    asked: Asked
    snapshot: Snapshot | None
    read_ms: float
    held: Found | None


class _Call(NamedTuple):
    """What those that are decided together share: one version of each model and of the rules."""

    lineup: Lineup
    book: RuleBook


@dataclass(slots=True)
class _Case:
    """One decision in the making."""

    asked: Asked
    vector: FeatureVector
    lane: Lane
    action: Action
    reasons: list[Reason]
    fallback: Fallback
    stage_ms: dict[str, float]
    score: float | None = None


class DecisionMaker:
    """Decides on transactions, and logs each transaction and decision after its features were read.

    Args: repeats: who came first with a transaction; deadline_ms: after this long a decision is made from the rules
    alone; patience_ms: so long another process may take for a transaction that came to it first.
    """

    def __init__(
        self,
        rules: RuleEngine,
        features: FeatureStage,
        routing: Routing,
        shadows: ShadowScorer,
        events: EventLog,
        repeats: Repeats,
        *,
        deadline_ms: int,
        patience_ms: int,
        clock: Clock,
    ) -> None:
        self._rules, self._features, self._routing, self._shadows = rules, features, routing, shadows
        self._events, self._repeats = events, repeats
        self._patience_s = patience_ms / 1000
        self._deadline_ns = deadline_ms * NS_PER_MS
        self._clock = clock
        self._reading = Gatherer(self._read_group)
        self._making = Gatherer(self._make_group)

    async def decide(self, inquiry: Inquiry, *, explain: bool) -> Decision:
        """The decision on one transaction; `explain` names the features that weighed most for an approval too.

        Raises: RepeatedOtherwise: the id was used for another transaction; DecisionPending: the same one is being
        decided on, and not done in time.
        """
        asked, known, first = self._asked(inquiry, explain, self._deadline_ns)
        if known is not None:
            return answer_of(known)
        if not first:
            return answer_of(await asked.turn.answer())
        try:
            # Twice: one round trip may answer several groups, which then go on as one.
            read = await self._reading.ask(asked)
            mine = read if read.held is None else await self._waited(read)
            return answer_of(mine if isinstance(mine, Served) else await self._making.ask(mine))
        except BaseException as error:
            self._repeats.failed(asked.turn, error)
            raise

    async def decide_all(self, inquiries: Sequence[Inquiry], *, explain: bool) -> list[Decision]:
        """A decision on each, in order, all from one round trip: none sees another of the same call in its features.

        Raises: as `decide`, before anything of the call is decided where an id was used for another transaction.
        """
        # Whoever sends many at once waits for all of them.
        wait_ns = self._deadline_ns * len(inquiries)
        planned: list[tuple[Asked, Served | None, bool]] = []
        try:
            for inquiry in inquiries:
                planned.append(self._asked(inquiry, explain, wait_ns))
            reads = []
            for found in await self._read([asked for asked, _, first in planned if first]):
                if isinstance(found, Exception):
                    raise found
                reads.append(found)
            async for made in self._make([read for read in reads if read.held is None]):
                if isinstance(made, Exception):
                    raise made
            # Its own first: two calls that wait for each other would both wait in vain.
            for read in (read for read in reads if read.held is not None):
                mine = await self._waited(read)
                if isinstance(mine, _Read):
                    await self._making.ask(mine)
            return [answer_of(known or await asked.turn.answer()) for asked, known, _ in planned]
        except BaseException:
            for asked, _, first in planned:
                if first:
                    # The error is about one of the call; who waits for another of them is to ask again.
                    self._repeats.failed(asked.turn, pending())
            raise

    def _asked(self, inquiry: Inquiry, explain: bool, wait_ns: int) -> tuple[Asked, Served | None, bool]:
        """What is asked, its answer where this process has it, and whether it is to be decided here."""
        row = row_of(inquiry.transaction)
        raw = orjson.dumps(row)
        turn, known, first = self._repeats.turn(inquiry.transaction.transaction_id, raw, explain=explain)
        return Asked(inquiry, turn, explain, inquiry.started_ns + wait_ns, row, raw), known, first

    async def _waited(self, read: _Read) -> Served | _Read:
        """The answer of the process that came first, or the read with which this one decides after all."""
        until_s = time.monotonic() + self._patience_s
        while read.held is not None:
            if read.held.answer is not None:
                return self._repeats.answered(read.asked.turn, read.held.answer)
            if time.monotonic() > until_s:
                metrics.REPEATS.labels("pending").inc()
                raise pending()
            await asyncio.sleep(WAIT_S)
            read = await self._reading.ask(read.asked)
        # That process died on it. The time that was waited is not the model's.
        return read._replace(asked=read.asked._replace(until_ns=time.perf_counter_ns() + self._deadline_ns))

    async def _read_group(self, group: Sequence[Asked]) -> AsyncIterator[_Read | Exception]:
        for read in await self._read(group):
            yield read

    async def _make_group(self, group: Sequence[_Read]) -> AsyncIterator[Served | Exception]:
        """Of several requests, whose secrets the log lines of all must not repeat."""
        TOKENS.set(tuple(read.asked.inquiry.transaction.card_token for read in group))
        REQUEST_ID.set(group[0].asked.inquiry.request_id if len(group) == 1 else None)
        async for found in self._make(group):
            yield found

    async def _read(self, asked: Sequence[Asked]) -> list[_Read | Exception]:
        if not asked:
            return []
        began = time.perf_counter_ns()
        turns = [each.turn for each in asked]
        parts: Sequence[Snapshot | None] = [None] * len(asked)
        try:
            parts = await self._features.read_each(
                [each.row for each in asked],
                [each.inquiry.transaction.timestamp for each in asked],
                self._repeats.claim(turns),
            )
        except StoreUnavailable as error:
            log.debug("no features: %s", error)
            self._repeats.unchecked(turns)
        read_ms = (time.perf_counter_ns() - began) / NS_PER_MS
        return [self._found(each, part, read_ms) for each, part in zip(asked, parts, strict=True)]

    def _found(self, asked: Asked, part: Snapshot | None, read_ms: float) -> _Read | Exception:
        held = None
        if part is not None:
            try:
                held = self._repeats.claimed(asked.turn, part.also)
            except StoreUnavailable as error:
                log.debug("a repetition would not be seen: %s", error)
                self._repeats.unchecked([asked.turn])
            except RepeatedOtherwise as error:
                return error
        return _Read(asked, part, read_ms, held)

    async def _make(self, reads: Sequence[_Read]) -> AsyncIterator[Served | Exception]:
        call = _Call(self._routing.lineup(), self._rules.book)
        for begin in range(0, len(reads), TOGETHER):
            if begin:
                await asyncio.sleep(0)  # lets other requests go in between
            for found in self._make_few(call, reads[begin : begin + TOGETHER]):
                yield found

    def _make_few(self, call: _Call, reads: Sequence[_Read]) -> list[Served | Exception]:
        """Decisions on some of those that are decided together, logged."""
        cases = [self._case(call, read) for read in reads]
        self._score([case for case in cases if isinstance(case, _Case) and case.fallback == "none"])
        found = [case if isinstance(case, Exception) else self._settled(call, case) for case in cases]
        made = [(read.asked, each) for read, each in zip(reads, found, strict=True) if isinstance(each, Served)]
        self._log(made)
        for asked, served in made:
            self._repeats.decided(asked.turn, served)
        return found

    def _case(self, call: _Call, read: _Read) -> _Case | Exception:
        asked, row = read.asked, read.asked.row
        transaction = asked.inquiry.transaction
        watch = Stopwatch(round(read.read_ms * NS_PER_MS))
        try:
            vector = None
            if read.snapshot is not None:
                vector = self._features.vector(read.snapshot, row, transaction.timestamp)
            watch.lap("features")
            lane = call.lineup.lane(transaction.user_id, row)
            found = vector or NO_FEATURES
            for view in found.stale:
                metrics.STALE_FEATURES.labels(view).inc()
            action, reasons = call.book.judge(transaction, found.values)
            watch.lap("rules")
        except Exception as error:
            # What is wrong with one transaction is not its neighbours' business.
            return error
        fallback = _fallback(vector, lane.model, asked.until_ns)
        return _Case(asked, found, lane, action, reasons, fallback, watch.ms)

    def _score(self, cases: Sequence[_Case]) -> None:
        if not cases:
            return
        watch = Stopwatch()
        scored = score_all([case.lane for case in cases], [case.vector.values for case in cases])
        watch.lap("model")
        for case, found in zip(cases, scored, strict=True):
            if isinstance(found, Exception):
                _give_up(case, found)
            else:
                case.lane, case.score = found
                case.stage_ms["model"] = watch.ms["model"] / len(cases)

    def _settled(self, call: _Call, case: _Case) -> Served | Exception:
        verdict = Verdict(case.action)
        if case.score is not None and case.lane.model is not None:
            try:
                verdict = self._verdict(call.book, case, case.lane.model, case.score)
            except Exception as error:
                _give_up(case, error)
        try:
            served = self._served(call.book, case, verdict)
        except Exception as error:
            return error
        if case.lane.shadow is not None and case.score is not None:
            self._shadows.offer(case.lane.shadow, served)
        return served

    def _verdict(self, book: RuleBook, case: _Case, model: Model, score: float) -> Verdict:
        asked, values = case.asked, case.vector.values
        transaction = asked.inquiry.transaction
        verdict = settle(
            book,
            case.action,
            transaction.transaction_id,
            score,
            transaction.amount,
            calibrated=model.calibrated,
        )
        case.reasons += verdict.reasons
        if asked.explain or verdict.action != "approve":
            watch = Stopwatch()
            case.reasons += explained(model, values, asked.inquiry.request_id)
            watch.lap("explain")
            case.stage_ms |= watch.ms
        return verdict

    def _served(self, book: RuleBook, case: _Case, verdict: Verdict) -> Served:
        inquiry, found, lane, score = case.asked.inquiry, case.vector, case.lane, case.score
        transaction, model = inquiry.transaction, case.lane.model
        version = model.version if model is not None and score is not None else None
        # Built from validated parts: validating some sixty features again would cost as much as reading them.
        return Served.trusted(
            system=FRAUD,
            request_id=inquiry.request_id,
            event_id=transaction.transaction_id,
            subjects={USER: transaction.user_id, MERCHANT: transaction.merchant_id},
            candidates=[],
            outputs={} if score is None else {SCORE: score},
            action=verdict.action,
            intended=verdict.intended,
            propensity=verdict.propensity,
            models=models_of(self._routing.name, version, book.version),
            fallback=case.fallback,
            experiment=lane.running.label if lane.running is not None else None,
            arm=lane.arm if score is not None else None,
            bucket=lane.bucket,
            shadow=False,
            features=found.values,
            seen=found.seen,
            through=found.through,
            feature_age_ms=None if found.newest_ms is None else max(0, transaction.timestamp - found.newest_ms),
            stale=bool(found.stale),
            unknown=sorted(found.unknown),
            timestamp=transaction.timestamp,
            served_at=self._clock(),
            latency_ms=(time.perf_counter_ns() - inquiry.started_ns) / NS_PER_MS,
            stage_ms=case.stage_ms,
            payload=payload_of(case.reasons, transaction.amount, verdict.policy, verdict.costs or NO_COSTS),
        )

    def _log(self, made: Sequence[tuple[Asked, Served]]) -> None:
        if not made:
            return
        began = time.perf_counter_ns()
        outgoing = []
        for asked, served in made:
            outgoing.append(Outgoing(TRANSACTIONS, served.key, asked.raw))
            outgoing.append(Outgoing(PREDICTIONS, served.key, served.to_json()))
        self._events.publish_all(outgoing)
        log_ms = (time.perf_counter_ns() - began) / NS_PER_MS / len(made)
        for _, served in made:
            record_metrics(served, log_ms)


def _fallback(vector: FeatureVector | None, model: Model | None, until_ns: int) -> Fallback:
    if vector is None:
        return "rules_only_no_features"
    if model is None:
        return "rules_only_no_model"
    return "rules_only_deadline" if time.perf_counter_ns() > until_ns else "none"


def _give_up(case: _Case, error: Exception) -> None:
    """A model that fails on a request must not fail the payment."""
    model = case.lane.model
    version, name = (model.version, model.name) if model is not None else (None, None)
    before = REQUEST_ID.set(case.asked.inquiry.request_id)
    log.error("version %s of %s failed on a request", version, name, exc_info=error)
    REQUEST_ID.reset(before)
    case.score, case.fallback = None, "rules_only_no_model"
    case.reasons = [reason for reason in case.reasons if reason.kind == "rule"]

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
from lamina.contracts.decisions import Action, Decision, Fallback, FeatureValue, Reason
from lamina.contracts.topics import MODEL_PREDICTIONS, TRANSACTIONS
from lamina.contracts.transactions import Transaction
from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.rules.book import RuleBook
from lamina.store.protocol import Snapshot
from lamina.store.reader import FeatureVector
from serving.masking import REQUEST_ID, TOKENS
from serving.stages.features import FeatureStage
from serving.stages.gather import Gatherer
from serving.stages.log import EventLog, Outgoing
from serving.stages.model import Model
from serving.stages.risk import Verdict, settle
from serving.stages.routing import Lane, Lineup, Routing
from serving.stages.rules import RuleEngine
from serving.stages.score import score_all
from serving.stages.shadow import ShadowScorer
from serving.stages.stopwatch import NS_PER_MS, Stopwatch
from serving.stages.tally import count

log = logging.getLogger(__name__)

TOP_FEATURES = 3
TOGETHER = 16
"""Decisions made at a time: for so long other requests wait."""
NO_COSTS = (None, None, None)
NO_FEATURES = FeatureVector({}, {}, {}, None, frozenset(), frozenset())


@dataclass(frozen=True)
class Inquiry:
    """A transaction to decide on. `started_ns` is when its request arrived, by `time.perf_counter_ns`."""

    transaction: Transaction
    request_id: str
    started_ns: int


class _Asked(NamedTuple):
    """An inquiry, whether it is to be explained, and until when a model may be asked."""

    inquiry: Inquiry
    explain: bool
    until_ns: int


class _Read(NamedTuple):
    """An inquiry with what the store holds of it, or None where the store did not answer; and how long that took."""

    asked: _Asked
    row: dict[str, object]
    snapshot: Snapshot | None
    read_ms: float


class _Call(NamedTuple):
    """What those that are decided together share: one version of each model and of the rules."""

    lineup: Lineup
    book: RuleBook


@dataclass(slots=True)
class _Case:
    """One decision in the making."""

    asked: _Asked
    row: dict[str, object]
    vector: FeatureVector
    lane: Lane
    action: Action
    reasons: list[Reason]
    fallback: Fallback
    stage_ms: dict[str, float]
    score: float | None = None


class DecisionMaker:
    """Decides on transactions, and logs each transaction and decision after its features were read.

    Args: deadline_ms: after this long a decision is made from the rules alone.
    """

    def __init__(
        self,
        rules: RuleEngine,
        features: FeatureStage,
        routing: Routing,
        shadows: ShadowScorer,
        events: EventLog,
        *,
        deadline_ms: int,
        clock: Clock,
    ) -> None:
        self._rules, self._features, self._routing, self._shadows = rules, features, routing, shadows
        self._events = events
        self._deadline_ns = deadline_ms * NS_PER_MS
        self._clock = clock
        self._reading = Gatherer(self._read_group)
        self._making = Gatherer(self._make_group)

    async def decide(self, inquiry: Inquiry, *, explain: bool) -> Decision:
        """The decision on one transaction; `explain` names the features that weighed most for an approval too."""
        asked = _Asked(inquiry, explain, inquiry.started_ns + self._deadline_ns)
        # Twice: one round trip may answer several groups, which then go on as one.
        return await self._making.ask(await self._reading.ask(asked))

    async def decide_all(self, inquiries: Sequence[Inquiry], *, explain: bool) -> list[Decision]:
        """A decision on each, in order, all from one round trip: none sees another of the same call in its features."""
        # Whoever sends many at once waits for all of them.
        wait_ns = self._deadline_ns * len(inquiries)
        reads = await self._read([_Asked(inquiry, explain, inquiry.started_ns + wait_ns) for inquiry in inquiries])
        decisions = []
        async for found in self._make(reads):
            if isinstance(found, Exception):
                raise found
            decisions.append(found)
        return decisions

    async def _read_group(self, group: Sequence[_Asked]) -> AsyncIterator[_Read | Exception]:
        for read in await self._read(group):
            yield read

    async def _make_group(self, group: Sequence[_Read]) -> AsyncIterator[Decision | Exception]:
        """Of several requests, whose secrets the log lines of all must not repeat."""
        TOKENS.set(tuple(read.asked.inquiry.transaction.card_token for read in group))
        REQUEST_ID.set(group[0].asked.inquiry.request_id if len(group) == 1 else None)
        async for found in self._make(group):
            yield found

    async def _read(self, asked: Sequence[_Asked]) -> list[_Read]:
        began = time.perf_counter_ns()
        rows = [_row(each.inquiry.transaction) for each in asked]
        parts: Sequence[Snapshot | None] = [None] * len(rows)
        try:
            parts = await self._features.read_each(rows, [each.inquiry.transaction.timestamp for each in asked])
        except StoreUnavailable as error:
            log.debug("no features: %s", error)
        read_ms = (time.perf_counter_ns() - began) / NS_PER_MS
        return [_Read(each, row, part, read_ms) for each, row, part in zip(asked, rows, parts, strict=True)]

    async def _make(self, reads: Sequence[_Read]) -> AsyncIterator[Decision | Exception]:
        call = _Call(self._routing.lineup(), self._rules.book)
        for begin in range(0, len(reads), TOGETHER):
            if begin:
                await asyncio.sleep(0)  # lets other requests go in between
            for found in self._make_few(call, reads[begin : begin + TOGETHER]):
                yield found

    def _make_few(self, call: _Call, reads: Sequence[_Read]) -> list[Decision | Exception]:
        """Decisions on some of those that are decided together, logged."""
        cases = [self._case(call, read) for read in reads]
        self._score([case for case in cases if isinstance(case, _Case) and case.fallback == "none"])
        found = [case if isinstance(case, Exception) else self._settled(call, case) for case in cases]
        self._log([(read.row, made) for read, made in zip(reads, found, strict=True) if isinstance(made, Decision)])
        return found

    def _case(self, call: _Call, read: _Read) -> _Case | Exception:
        asked, row = read.asked, read.row
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
        return _Case(asked, row, found, lane, action, reasons, fallback, watch.ms)

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

    def _settled(self, call: _Call, case: _Case) -> Decision | Exception:
        verdict = Verdict(case.action)
        if case.score is not None and case.lane.model is not None:
            try:
                verdict = self._verdict(call.book, case, case.lane.model, case.score)
            except Exception as error:
                _give_up(case, error)
        try:
            decision = self._decision(call.book, case, verdict)
        except Exception as error:
            return error
        if case.lane.shadow is not None and case.score is not None:
            self._shadows.offer(case.lane.shadow, decision)
        return decision

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
            case.reasons += _explained(case, model, values)
            watch.lap("explain")
            case.stage_ms |= watch.ms
        return verdict

    def _decision(self, book: RuleBook, case: _Case, verdict: Verdict) -> Decision:
        inquiry, found, lane, score = case.asked.inquiry, case.vector, case.lane, case.score
        transaction, model = inquiry.transaction, case.lane.model
        costs = verdict.costs or NO_COSTS
        # Built from validated parts: validating some sixty features again would cost as much as reading them.
        return Decision.trusted(
            request_id=inquiry.request_id,
            transaction_id=transaction.transaction_id,
            user_id=transaction.user_id,
            merchant_id=transaction.merchant_id,
            action=verdict.action,
            score=score,
            reasons=case.reasons,
            model_name=self._routing.name,
            model_version=model.version if model is not None and score is not None else None,
            rules_version=book.version,
            fallback=case.fallback,
            features=found.values,
            seen=found.seen,
            through=found.through,
            feature_age_ms=None if found.newest_ms is None else max(0, transaction.timestamp - found.newest_ms),
            stale=bool(found.stale),
            unknown_user="user" in found.unknown,
            amount=transaction.amount,
            timestamp=transaction.timestamp,
            decided_at=self._clock(),
            latency_ms=(time.perf_counter_ns() - inquiry.started_ns) / NS_PER_MS,
            stage_ms=case.stage_ms,
            experiment=lane.trial.label if lane.trial is not None else None,
            arm=lane.arm if score is not None else None,
            bucket=lane.bucket,
            policy=verdict.policy,
            cost_approve=costs[0],
            cost_review=costs[1],
            cost_reject=costs[2],
            intended=verdict.intended,
            propensity=verdict.propensity,
        )

    def _log(self, made: Sequence[tuple[dict[str, object], Decision]]) -> None:
        if not made:
            return
        began = time.perf_counter_ns()
        outgoing = []
        for row, decision in made:
            # The transaction as `Transaction.to_json` writes it, from the same fields.
            outgoing.append(Outgoing(TRANSACTIONS, decision.user_id, orjson.dumps(row)))
            outgoing.append(Outgoing(MODEL_PREDICTIONS, decision.user_id, decision.to_json()))
        self._events.publish_all(outgoing)
        log_ms = (time.perf_counter_ns() - began) / NS_PER_MS / len(made)
        for _, decision in made:
            count(decision, log_ms)


def _row(transaction: Transaction) -> dict[str, object]:
    """As `model_dump` gives it, in a third of the time."""
    row = dict(vars(transaction))
    if transaction.location is not None:
        row["location"] = dict(vars(transaction.location))
    return row


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


def _explained(case: _Case, model: Model, values: dict[str, FeatureValue]) -> list[Reason]:
    """What weighed most; nothing where the model cannot say, which changes no decision."""
    try:
        return _weights(model, values)
    except Exception as error:
        metrics.EXPLANATIONS_FAILED.inc()
        before = REQUEST_ID.set(case.asked.inquiry.request_id)
        log.error("version %s of %s cannot explain its score", model.version, model.name, exc_info=error)
        REQUEST_ID.reset(before)
        return []


def _weights(model: Model, values: dict[str, FeatureValue]) -> list[Reason]:
    found = []
    for name, weight in model.scorer.explain(values)[:TOP_FEATURES]:
        value = values.get(name)
        text = "unknown" if value is None else f"{value:,.6g}" if isinstance(value, int | float) else str(value)
        found.append(Reason(kind="feature", code=name, detail=f"{name} = {text}", weight=weight))
    return found

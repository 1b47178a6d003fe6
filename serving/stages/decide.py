"""One decision, stage by stage: features, rules, model, risk, log. Hot path.

The features come first because some rules need the past, all in one round trip. A rule's verdict stands against the
model's: the more severe of both is the action. The model scores what a rule rejects as well, for under a millisecond:
decisions without a score would leave holes in every figure about the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from lamina.clock import Clock
from lamina.contracts.decisions import Decision, Fallback, FeatureValue, Reason
from lamina.contracts.topics import MODEL_PREDICTIONS, TRANSACTIONS
from lamina.contracts.transactions import Transaction
from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.rules.book import RuleBook
from lamina.store.protocol import Snapshot
from lamina.store.reader import FeatureVector
from serving.stages.features import FeatureStage
from serving.stages.log import EventLog
from serving.stages.model import Model
from serving.stages.risk import Verdict, settle
from serving.stages.routing import Lineup, Routing
from serving.stages.rules import RuleEngine
from serving.stages.shadow import ShadowScorer
from serving.stages.stopwatch import NS_PER_MS, Stopwatch

log = logging.getLogger(__name__)

TOP_FEATURES = 3
NO_COSTS = (None, None, None)
NO_FEATURES = FeatureVector({}, {}, {}, None, frozenset(), frozenset())


@dataclass(frozen=True)
class Inquiry:
    """A transaction to decide on. `started_ns` is when its request arrived, by `time.perf_counter_ns`."""

    transaction: Transaction
    request_id: str
    started_ns: int


class _Call(NamedTuple):
    """What the transactions of one request share: what was read, and one version of each model and of the rules."""

    snapshot: Snapshot | None
    lineup: Lineup
    book: RuleBook
    read_ns: int
    deadline_ns: int
    explain: bool


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

    async def decide(self, inquiry: Inquiry, *, explain: bool) -> Decision:
        """The decision on one transaction; `explain` names the features that weighed most for an approval too."""
        return (await self.decide_all([inquiry], explain=explain))[0]

    async def decide_all(self, inquiries: Sequence[Inquiry], *, explain: bool) -> list[Decision]:
        """A decision on each, in order, all from one round trip: none sees another of the same call in its features."""
        began = time.perf_counter_ns()
        rows = [inquiry.transaction.model_dump() for inquiry in inquiries]
        snapshot: Snapshot | None = None
        try:
            snapshot = await self._features.read(rows)
        except StoreUnavailable as error:
            log.debug("no features: %s", error)
        read_ns = time.perf_counter_ns() - began
        # Whoever sends many at once waits for all of them.
        deadline_ns = self._deadline_ns * len(inquiries)
        call = _Call(snapshot, self._routing.lineup(), self._rules.book, read_ns, deadline_ns, explain)
        decisions = []
        for at, (inquiry, row) in enumerate(zip(inquiries, rows, strict=True)):
            if at:
                await asyncio.sleep(0)  # lets requests of a single transaction go in between
            decision = self._decide(call, at, inquiry, row)
            self._publish(row, decision)
            decisions.append(decision)
        return decisions

    def _decide(self, call: _Call, at: int, inquiry: Inquiry, row: dict[str, object]) -> Decision:
        transaction, book = inquiry.transaction, call.book
        lane = call.lineup.lane(transaction.user_id, row)
        model = lane.model
        watch = Stopwatch(call.read_ns)
        vector = self._vector(call.snapshot, at, row, transaction.timestamp)
        found = vector or NO_FEATURES
        watch.lap("features")
        action, reasons = book.judge(transaction, found.values)
        watch.lap("rules")
        fallback = self._fallback(vector, model, inquiry.started_ns + call.deadline_ns)
        score: float | None = None
        verdict = Verdict(action)
        if fallback == "none" and model is not None:
            try:
                lane, score = lane.score(found.values)
                model = lane.model or model
                watch.lap("model")
                identity, amount = transaction.transaction_id, transaction.amount
                verdict = settle(book, action, identity, score, amount, calibrated=model.calibrated)
                reasons += verdict.reasons
                if call.explain or verdict.action != "approve":
                    reasons += _weights(model, found.values)
                    watch.lap("explain")
            except Exception:
                # A model that fails on a request must not fail the payment.
                log.exception("version %s of %s failed on a request", model.version, model.name)
                score, fallback, verdict = None, "rules_only_no_model", Verdict(action)
                reasons = [reason for reason in reasons if reason.kind == "rule"]
        costs = verdict.costs or NO_COSTS
        # Built from validated parts: validating some sixty features again would cost as much as reading them.
        decision = Decision.model_construct(
            request_id=inquiry.request_id,
            transaction_id=transaction.transaction_id,
            user_id=transaction.user_id,
            merchant_id=transaction.merchant_id,
            action=verdict.action,
            score=score,
            reasons=reasons,
            model_name=self._routing.name,
            model_version=model.version if model is not None and score is not None else None,
            rules_version=book.version,
            fallback=fallback,
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
            stage_ms=watch.ms,
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
        if lane.shadow is not None and score is not None:
            self._shadows.offer(lane.shadow, decision)
        return decision

    def _vector(self, snapshot: Snapshot | None, at: int, row: dict[str, object], at_ms: int) -> FeatureVector | None:
        if snapshot is None:
            return None
        try:
            found = self._features.vector(snapshot, at, row, at_ms)
        except StoreUnavailable as error:
            log.error("features cannot be used: %s", error)
            return None
        for view in found.stale:
            metrics.STALE_FEATURES.labels(view).inc()
        return found

    def _fallback(self, vector: FeatureVector | None, model: Model | None, until_ns: int) -> Fallback:
        if vector is None:
            return "rules_only_no_features"
        if model is None:
            return "rules_only_no_model"
        return "rules_only_deadline" if time.perf_counter_ns() > until_ns else "none"

    def _publish(self, row: dict[str, object], decision: Decision) -> None:
        began = time.perf_counter_ns()
        # The transaction as `Transaction.to_json` writes it, from the same fields.
        self._events.publish(TRANSACTIONS, decision.user_id, orjson.dumps(row))
        self._events.publish(MODEL_PREDICTIONS, decision.user_id, decision.to_json())
        _count(decision, (time.perf_counter_ns() - began) / NS_PER_MS)


def _weights(model: Model, values: dict[str, FeatureValue]) -> list[Reason]:
    found = []
    for name, weight in model.scorer.explain(values)[:TOP_FEATURES]:
        value = values.get(name)
        text = "unknown" if value is None else value if isinstance(value, str) else f"{value:,.6g}"
        found.append(Reason(kind="feature", code=name, detail=f"{name} = {text}", weight=weight))
    return found


def _count(decision: Decision, log_ms: float) -> None:
    status = "ok" if decision.fallback == "none" else decision.fallback
    metrics.PREDICTIONS.labels(decision.model_version or "none", status).inc()
    metrics.PREDICTION_LATENCY.observe(decision.latency_ms / 1000)
    metrics.DECISIONS.labels(decision.action).inc()
    for stage, ms in decision.stage_ms.items():
        metrics.STAGE_LATENCY.labels(stage).observe(ms / 1000)
    metrics.STAGE_LATENCY.labels("log").observe(log_ms / 1000)
    if decision.score is not None and decision.model_version is not None:
        metrics.SCORES.labels(decision.model_version).observe(decision.score)
    if decision.fallback != "none":
        metrics.FALLBACKS.labels(decision.fallback).inc()
    if decision.intended is not None:
        metrics.PASSED_THROUGH.labels(decision.action).inc()
    if decision.unknown_user:
        metrics.UNKNOWN_USERS.inc()
    if decision.feature_age_ms is not None:
        metrics.FEATURE_AGE.observe(decision.feature_age_ms / 1000)
    for reason in decision.reasons:
        if reason.kind == "rule":
            metrics.RULES_FIRED.labels(reason.code).inc()

"""What is decided on a transaction: the rules before the score, what is done about the score after it. Hot path.

Some rules need the past, so they come after the features. A rule's verdict stands against the model's: the more severe
of both is the action. The model scores what a rule rejects as well, for under a millisecond: decisions without a score
would leave holes in every figure about the model.
"""

from __future__ import annotations

from typing import NamedTuple

from lamina.contracts.fraud_decisions import RULES, SCORE, USER, Action, payload_of, reasons_of
from lamina.contracts.reasons import Reason
from lamina.contracts.served import ModelUsed, Served
from lamina.contracts.transactions import Transaction
from lamina.definitions.fraud import SYSTEM
from lamina.monitoring import metrics
from lamina.rules.book import RuleBook
from lamina.rules.settle import settle
from serving.stages.case import Case, Verdict
from serving.stages.explain import explained
from serving.stages.kind import RequestKind
from serving.stages.record import counter
from serving.stages.stopwatch import Stopwatch

REQUESTS = RequestKind(SYSTEM, Transaction)
NO_COSTS = (None, None, None)


class Ruled(NamedTuple):
    """What the rules ask for, and why."""

    action: Action
    reasons: list[Reason]


FraudCase = Case[Transaction, Ruled]


class RulesAndRisk:
    """Decides by one version of the rules; implements `Decider`."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self.models = {RULES: ModelUsed.trusted(name=RULES, version=book.version)}

    def judge(self, case: FraudCase) -> Ruled:
        """See `Decider.judge`."""
        ruled = Ruled(*self._book.judge(case.event, case.vector.values))
        case.watch.lap("rules")
        return ruled

    def settle(self, case: FraudCase) -> Verdict:
        """See `Decider.settle`. Without a score the rules decide alone."""
        transaction, (action, reasons) = case.event, case.judged
        score, model = case.outputs.get(SCORE), case.lane.model
        if score is None or model is None:
            return Verdict(action, payload=payload_of(reasons, transaction.amount, None, NO_COSTS))
        found = settle(
            self._book, action, transaction.transaction_id, score, transaction.amount, calibrated=model.calibrated
        )
        reasons = [*reasons, *found.reasons]
        if case.explain or found.action != "approve":
            watch = Stopwatch()
            reasons += explained(model, case.vector.values, case.request_id)
            watch.lap("explain")
            case.watch.ms |= watch.ms
        payload = payload_of(reasons, transaction.amount, found.policy, found.costs or NO_COSTS)
        return Verdict(found.action, found.intended, found.propensity, payload)


def count(served: Served) -> None:
    """Count what only fraud counts of an answer."""
    if USER in served.unknown:
        metrics.UNKNOWN_USERS.inc()
    for reason in reasons_of(served):
        if reason["kind"] == "rule":
            counter(metrics.RULES_FIRED, str(reason["code"]))()

"""Fraud: decisions on card transactions, and what is learnt of them later."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from lamina.contracts.base import json_of
from lamina.contracts.fraud_decisions import DecisionAnswer, fields_of
from lamina.contracts.problems import Accepted
from lamina.contracts.served import Served
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel, Transaction
from serving.checks import Checks
from serving.middleware.errors import problem
from serving.middleware.keys import SOURCES
from serving.routes.json_route import JsonRoute
from serving.routes.taken import accepted
from serving.stages.case import Case
from serving.stages.log import EventLog
from serving.stages.pipeline import Pipeline
from serving.systems.fraud.decide import FraudCase, Ruled

MAX_BATCH = 100
JSON = "application/json"
DECISIONS = "/fraud/decisions"
# What only `explain=true` returns; the topic `predictions-fraud` always has it.
EXPLAINED = {"features", "seen", "through"}

TRANSACTION = {
    "transaction_id": "txn-0001",
    "user_id": "user-00000153",
    "card_token": "card-ad773f96b5",
    "amount": 28.76,
    "currency": "EUR",
    "merchant_id": "merchant-0000018",
    "merchant_category": "restaurant",
    "country": "PT",
    "user_country": "PT",
    "transaction_type": "in_store",
    "device_type": "terminal",
    "location": {"lat": 38.69, "lon": -9.30},
    "timestamp": 1735689649076,
}
ONLINE = TRANSACTION | {
    "transaction_id": "txn-0002",
    "amount": 499.0,
    "transaction_type": "online",
    "device_type": "mobile",
    "location": None,
    "timestamp": "2025-01-01T00:31:00Z",
}
LABEL = {
    "transaction_id": "txn-0001",
    "user_id": "user-00000153",
    "merchant_id": "merchant-0000018",
    "is_fraud": True,
    "scenario": "stolen_card",
    "source": "chargeback",
    "transaction_timestamp": 1735689649076,
    "timestamp": 1736121649076,
}

OneTransaction = Annotated[
    Transaction,
    Body(openapi_examples={"in a shop": {"value": TRANSACTION}, "online, ISO time": {"value": ONLINE}}),
]
Transactions = Annotated[
    list[Transaction],
    Body(min_length=1, max_length=MAX_BATCH, openapi_examples={"two": {"value": [TRANSACTION, ONLINE]}}),
]
OneLabel = Annotated[FraudLabel, Body(openapi_examples={"chargeback": {"value": LABEL}})]
Explain = Annotated[bool, Query(description="Return the features as used, and what weighed most, for approvals too.")]


def fraud_router(decisions: Pipeline[Transaction, Ruled], events: EventLog, checks: Checks) -> APIRouter:
    """The routes under `/fraud`. Handlers answer with bytes: what was validated once is not validated again."""
    router = APIRouter(prefix="/fraud", tags=["fraud"], route_class=JsonRoute)

    @router.post("/decisions", response_model=DecisionAnswer, summary="Decide on a transaction")
    async def decide(request: Request, transaction: OneTransaction, explain: Explain = False) -> Response:
        """Approve, review or reject, with the reasons. The transaction and the decision are published.

        The same transaction sent again gets the answer it had; another content under its id is answered 409.
        """
        checks.take([transaction])
        case: FraudCase = Case(transaction, request.state.request_id, request.state.started_ns, explain)
        return Response(shown(await decisions.answer(case), explain=explain), media_type=JSON)

    @router.post("/decisions/batch", response_model=list[DecisionAnswer], summary="Decide on several transactions")
    async def decide_batch(request: Request, transactions: Transactions, explain: Explain = False) -> Response:
        """Decisions in the order of the transactions, from one read: none is in another's features.

        The request id of each is that of the call with its place appended.
        """
        checks.take(transactions)
        request_id, started_ns = request.state.request_id, request.state.started_ns
        cases: list[FraudCase] = [Case(t, f"{request_id}-{i}", started_ns, explain) for i, t in enumerate(transactions)]
        answers = b",".join([shown(served, explain=explain) for served in await decisions.answer_all(cases)])
        return Response(b"[%s]" % answers, media_type=JSON)

    @router.post("/labels", status_code=202, response_model=Accepted, summary="Report what is known of a transaction")
    async def label(request: Request, label: OneLabel) -> Response:
        """The label is published; the features and the next training see it. 403: `source` is not this client's word.

        A transaction may have several labels. A chargeback outdoes an analyst's finding, that what a customer says; of
        one source the newest stands.
        """
        if label.source not in getattr(request.state, SOURCES, ()):
            return problem(403, "forbidden", [{"field": "source", "message": "this client may not claim this source"}])
        checks.take([label])
        events.publish(FRAUD_LABELS, label.user_id, label.to_json())
        return accepted(FRAUD_LABELS, label.transaction_id)

    return router


def shown(served: Served, *, explain: bool = False) -> bytes:
    """The body of the answer to a request."""
    fields = fields_of(served)
    return json_of(fields if explain else {name: each for name, each in fields.items() if name not in EXPLAINED})

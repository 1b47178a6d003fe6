"""What fraud detection is made from: transactions, what became known of them, and how far it looks back."""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Predicate,
)
from lamina.contracts.features import (
    Entity,
    EventSource,
    Revisions,
    days,
)
from lamina.contracts.transactions import LABEL_TOPIC, TRANSACTION_TOPIC

USER = Entity("user", "user_id")
MERCHANT = Entity("merchant", "merchant_id")

TRANSACTIONS = EventSource(
    name="transactions",
    topic=TRANSACTION_TOPIC.name,
    id="transaction_id",
    timestamp="timestamp",
    columns={
        "transaction_id": "string",
        "user_id": "string",
        "card_token": "string",
        "amount": "double",
        "currency": "string",
        "merchant_id": "string",
        "merchant_category": "string",
        "country": "string",
        "user_country": "string",
        "transaction_type": "string",
        "device_type": "string",
        "location.lat": "double",
        "location.lon": "double",
        "timestamp": "long",
    },
)

REVISIONS = Revisions(
    known="timestamp",
    by="source",
    order=("chargeback", "analyst", "customer", "simulator"),
    verdict="is_fraud",
)
"""A bank's chargeback is a settled fact, an analyst's finding outdoes what a customer says; made-up truth is last."""

FRAUD_LABELS = EventSource(
    name="fraud_labels",
    topic=LABEL_TOPIC.name,
    id="transaction_id",
    timestamp="transaction_timestamp",
    columns={
        "transaction_id": "string",
        "user_id": "string",
        "merchant_id": "string",
        "is_fraud": "boolean",
        "source": "string",
        "transaction_timestamp": "long",
        "timestamp": "long",
    },
    revisions=REVISIONS,
    recorded_as="model-feedback",
)

FRAUD_REPORTS = EventSource(
    name="fraud_reports",
    topic=FRAUD_LABELS.topic,
    id=FRAUD_LABELS.id,
    timestamp="timestamp",
    columns=FRAUD_LABELS.columns,
    revisions=REVISIONS,
    recorded_as=FRAUD_LABELS.recorded_as,
)
"""The same events at the time when each became known: what was known at a moment is what was reported before it."""

LABEL_DELAY = days(7)
HANDBOOK_WINDOWS = (days(1), days(7), days(30))
RECENT_WINDOWS = (days(3), days(7), days(14), days(28))
MERCHANT_WINDOWS = (days(1), days(3), days(7), days(14), days(21), days(30))
PEAK_WINDOWS = (days(7), days(30))
REPORT_WINDOWS = (days(1), days(3), days(7), days(14))
IS_FRAUD = Predicate("is_fraud", "=", True)
LOCATED = Predicate("location.lat", "is not null")

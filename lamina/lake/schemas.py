"""Columns of each topic in the lake, in the order of its contract. A test holds them equal to the contracts."""

from __future__ import annotations

import pyarrow as pa

from lamina.contracts.topics import FRAUD_LABELS, MODEL_PREDICTIONS, TRANSACTIONS, USER_EVENTS


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


LOCATION_TYPE = pa.struct([_required("lat", pa.float64()), _required("lon", pa.float64())])

TRANSACTIONS_SCHEMA = pa.schema(
    [
        _required("transaction_id", pa.string()),
        _required("user_id", pa.string()),
        _required("card_token", pa.string()),
        _required("amount", pa.float64()),
        _required("currency", pa.string()),
        _required("merchant_id", pa.string()),
        _required("merchant_category", pa.string()),
        _required("country", pa.string()),
        _required("user_country", pa.string()),
        _required("transaction_type", pa.string()),
        _required("device_type", pa.string()),
        pa.field("location", LOCATION_TYPE),
        _required("timestamp", pa.int64()),
    ]
)
"""`lamina.contracts.transactions.Transaction`; timestamp in epoch milliseconds."""

FRAUD_LABELS_SCHEMA = pa.schema(
    [
        _required("transaction_id", pa.string()),
        _required("user_id", pa.string()),
        _required("merchant_id", pa.string()),
        _required("is_fraud", pa.bool_()),
        pa.field("scenario", pa.string()),
        _required("source", pa.string()),
        _required("transaction_timestamp", pa.int64()),
        _required("timestamp", pa.int64()),
    ]
)
"""`lamina.contracts.transactions.FraudLabel`; both timestamps in epoch milliseconds."""

USER_EVENTS_SCHEMA = pa.schema(
    [
        _required("event_id", pa.string()),
        _required("user_id", pa.string()),
        _required("event_type", pa.string()),
        _required("item_id", pa.string()),
        _required("session_id", pa.string()),
        _required("page", pa.string()),
        pa.field("purchase_id", pa.string()),
        pa.field("purchase_amount", pa.float64()),
        _required("timestamp", pa.int64()),
    ]
)
"""`lamina.contracts.user_events.UserEvent`; timestamp in epoch milliseconds."""

DECISIONS_SCHEMA = pa.schema(
    [
        _required("request_id", pa.string()),
        _required("transaction_id", pa.string()),
        _required("user_id", pa.string()),
        _required("merchant_id", pa.string()),
        _required("action", pa.string()),
        pa.field("score", pa.float64()),
        _required("reasons", pa.string()),
        _required("model_name", pa.string()),
        pa.field("model_version", pa.string()),
        _required("rules_version", pa.string()),
        _required("fallback", pa.string()),
        _required("features", pa.string()),
        _required("seen", pa.string()),
        _required("through", pa.string()),
        pa.field("feature_age_ms", pa.int64()),
        _required("stale", pa.bool_()),
        _required("unknown_user", pa.bool_()),
        _required("amount", pa.float64()),
        _required("timestamp", pa.int64()),
        _required("decided_at", pa.int64()),
        _required("latency_ms", pa.float64()),
        _required("stage_ms", pa.string()),
        pa.field("experiment", pa.string()),
        pa.field("arm", pa.string()),
        pa.field("bucket", pa.int64()),
        pa.field("policy", pa.string()),
        pa.field("cost_approve", pa.float64()),
        pa.field("cost_review", pa.float64()),
        pa.field("cost_reject", pa.float64()),
        pa.field("intended", pa.string()),
        pa.field("propensity", pa.float64()),
    ]
)
"""`lamina.contracts.decisions.Decision`; lists and maps as JSON text, so that numbers and texts stay what they are."""

JSON_COLUMNS = ("reasons", "features", "seen", "through", "stage_ms")
"""Columns of decisions that hold JSON text."""

POSITION_FIELDS = (pa.field("partition", pa.int32()), pa.field("offset", pa.int64()))
"""An event's place in Kafka; null for a row that was imported."""

SCHEMAS: dict[str, pa.Schema] = {
    TRANSACTIONS: TRANSACTIONS_SCHEMA,
    USER_EVENTS: USER_EVENTS_SCHEMA,
    FRAUD_LABELS: FRAUD_LABELS_SCHEMA,
    MODEL_PREDICTIONS: DECISIONS_SCHEMA,
}
"""Event columns by topic, without the position."""


def in_lake(schema: pa.Schema) -> pa.Schema:
    """`schema` as it is stored: the event's columns, then `partition` int32 and `offset` int64.

    >>> in_lake(TRANSACTIONS_SCHEMA).names[-2:]
    ['partition', 'offset']
    """
    for field in POSITION_FIELDS:
        schema = schema.append(field)
    return schema


def without_position(table: pa.Table) -> pa.Table:
    """`table` with a null place in Kafka added, as imported rows are stored."""
    for field in POSITION_FIELDS:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table

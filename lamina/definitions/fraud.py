"""Fraud detection: what is known of a card transaction, its user and its merchant.

The 1, 7 and 30 day windows are those of Le Borgne et al. 2022 (Reproducible Machine Learning for Credit Card Fraud
Detection, 3.3): the current transaction included, and a merchant's labels known after seven days.

What tells a stolen card is an amount far above its user's own: so are the largest amounts of the last days, and the one
at hand, divided by the mean of 90 days; and a merchant where the user never was. What tells a compromised merchant is
when its known frauds began and how many of its transactions since then were fraud; and, long before the labels of those
days are complete, how many frauds were reported of it lately.
"""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Predicate,
    count,
    distinct,
    first_time,
    last,
    last_time,
    maximum,
    mean,
    std,
    total,
)
from lamina.contracts.features import (
    Elapsed,
    Entity,
    EventSource,
    FeatureSet,
    FeatureView,
    Layers,
    Ratio,
    RequestFeature,
    Revisions,
    days,
    hours,
    seconds,
)
from lamina.contracts.fraud_decisions import DECISION_TOPIC
from lamina.contracts.labels import ReportedLabel
from lamina.contracts.systems import System
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

USER_VELOCITY = FeatureView(
    name="user_velocity",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(
        count("txn_count"),
        total("amount", "total_amount"),
        mean("amount", "avg_amount"),
        distinct("merchant_id", "unique_merchants", cap=256),
    ),
    windows=(hours(1),),
    resolution=seconds(1),
    include_request=True,
)

USER_LAST_SEEN = FeatureView(
    name="user_last_seen",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(
        last_time("last_txn_ms"),
        last_time("last_located_ms", where=LOCATED),
        last("location.lat", "last_lat", where=LOCATED),
        last("location.lon", "last_lon", where=LOCATED),
    ),
    windows=(days(30),),
    resolution=seconds(1),
    suffix=False,
)

USER_SPEND = FeatureView(
    name="user_spend",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(count("user_txn_count"), mean("amount", "user_avg_amount")),
    windows=HANDBOOK_WINDOWS,
    resolution=seconds(1),
    include_request=True,
)

USER_HISTORY = FeatureView(
    name="user_history",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(
        count("lifetime_txn_count"),
        mean("amount", "avg_txn_amount"),
        std("amount", "std_txn_amount"),
        maximum("amount", "max_txn_amount"),
        distinct("merchant_id", "num_merchants", cap=1024),
        distinct("country", "num_countries", cap=256),
    ),
    windows=(days(90),),
    resolution=days(1),
    suffix=False,
)

USER_VISITS = FeatureView(
    name="user_visits",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(distinct("merchant_id", "num_merchants_with_this", cap=1024),),
    windows=(days(90),),
    resolution=days(1),
    include_request=True,
    suffix=False,
)

USER_PEAKS = FeatureView(
    name="user_peaks",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(maximum("amount", "user_max_amount"),),
    windows=RECENT_WINDOWS,
    resolution=days(1),
)

MERCHANT_TRAFFIC = FeatureView(
    name="merchant_traffic",
    entity=MERCHANT,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(count("merchant_txn_count"),),
    windows=MERCHANT_WINDOWS,
    resolution=seconds(1),
    delay=LABEL_DELAY,
    layers=Layers.BATCH,
)

MERCHANT_PEAKS = FeatureView(
    name="merchant_peaks",
    entity=MERCHANT,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(maximum("amount", "merchant_max_amount"),),
    windows=PEAK_WINDOWS,
    resolution=seconds(1),
    delay=LABEL_DELAY,
    layers=Layers.BATCH,
)

MERCHANT_LAST_KNOWN = FeatureView(
    name="merchant_last_known",
    entity=MERCHANT,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(last_time("merchant_last_txn_ms"),),
    windows=(days(30),),
    resolution=seconds(1),
    delay=LABEL_DELAY,
    layers=Layers.BATCH,
    suffix=False,
)

MERCHANT_FRAUD = FeatureView(
    name="merchant_fraud",
    version=2,
    entity=MERCHANT,
    source=FRAUD_LABELS,
    owner="fraud",
    aggregates=(count("merchant_fraud_count", where=IS_FRAUD),),
    windows=MERCHANT_WINDOWS,
    resolution=seconds(1),
    delay=LABEL_DELAY,
    layers=Layers.BATCH,
)

MERCHANT_FRAUD_SPAN = FeatureView(
    name="merchant_fraud_span",
    version=2,
    entity=MERCHANT,
    source=FRAUD_LABELS,
    owner="fraud",
    aggregates=(
        first_time("merchant_first_fraud_ms", where=IS_FRAUD),
        last_time("merchant_last_fraud_ms", where=IS_FRAUD),
    ),
    windows=(days(30),),
    resolution=seconds(1),
    delay=LABEL_DELAY,
    layers=Layers.BATCH,
    suffix=False,
)

MERCHANT_REPORTS = FeatureView(
    name="merchant_reports",
    version=2,
    entity=MERCHANT,
    source=FRAUD_REPORTS,
    owner="fraud",
    aggregates=(count("merchant_reports", where=IS_FRAUD),),
    windows=REPORT_WINDOWS,
    resolution=hours(1),
)

FEATURES = FeatureSet(
    system="fraud",
    request=TRANSACTIONS,
    views=(
        USER_VELOCITY,
        USER_LAST_SEEN,
        USER_SPEND,
        USER_HISTORY,
        USER_VISITS,
        USER_PEAKS,
        MERCHANT_TRAFFIC,
        MERCHANT_PEAKS,
        MERCHANT_LAST_KNOWN,
        MERCHANT_FRAUD,
        MERCHANT_FRAUD_SPAN,
        MERCHANT_REPORTS,
    ),
    ratios=(
        *(
            Ratio(f"merchant_fraud_risk_{w.label}", f"merchant_fraud_count_{w.label}", f"merchant_txn_count_{w.label}")
            for w in MERCHANT_WINDOWS
        ),
        # One fraud of a large amount may be a stolen card's; several, or one of a small amount, speak of the merchant.
        *(
            Ratio(
                f"merchant_max_amount_by_frauds_{w.label}",
                f"merchant_max_amount_{w.label}",
                f"merchant_fraud_count_{w.label}",
                default=None,
            )
            for w in PEAK_WINDOWS
        ),
        Ratio("amount_to_mean", "amount", "avg_txn_amount", default=None),
        Ratio("amount_to_max", "amount", "max_txn_amount", default=None),
        Ratio("total_1h_to_mean", "total_amount_1h", "avg_txn_amount", default=None),
        # 1 where the user has been at the merchant, less where it is one more.
        Ratio("merchant_visited", "num_merchants", "num_merchants_with_this"),
        *(
            Ratio(f"max_amount_to_mean_{w.label}", f"user_max_amount_{w.label}", "avg_txn_amount", default=None)
            for w in RECENT_WINDOWS
        ),
    ),
    elapsed=(
        Elapsed("since_last_txn", "last_txn_ms"),
        Elapsed("since_merchant_last_known_txn", "merchant_last_txn_ms"),
        Elapsed("since_merchant_first_fraud", "merchant_first_fraud_ms"),
        Elapsed("since_merchant_last_fraud", "merchant_last_fraud_ms"),
        Elapsed("merchant_honest_since_fraud", "merchant_last_fraud_ms", until="merchant_last_txn_ms"),
    ),
    request_features=(
        RequestFeature("amount", "field", "amount"),
        RequestFeature("merchant_category", "field", "merchant_category", categorical=True),
        RequestFeature("hour_of_day", "hour_of_day"),
        RequestFeature("day_of_week", "day_of_week"),
        RequestFeature("weekend", "weekend"),
        RequestFeature("night", "night"),
        RequestFeature("is_international", "differs", "country", other="user_country"),
        RequestFeature("is_online", "equals", "transaction_type", value="online"),
        RequestFeature("device_type", "field", "device_type", categorical=True),
    ),
    model_features=(
        "amount",
        "weekend",
        "night",
        *(f"{name}_{w.label}" for name in ("user_txn_count", "user_avg_amount") for w in HANDBOOK_WINDOWS),
        *(f"merchant_txn_count_{w.label}" for w in HANDBOOK_WINDOWS),
        *(f"{name}_{w.label}" for name in ("merchant_fraud_count", "merchant_fraud_risk") for w in MERCHANT_WINDOWS),
        *(f"merchant_max_amount_by_frauds_{w.label}" for w in PEAK_WINDOWS),
        "since_merchant_last_known_txn",
        "since_merchant_first_fraud",
        "since_merchant_last_fraud",
        "merchant_honest_since_fraud",
        *(f"merchant_reports_{w.label}" for w in REPORT_WINDOWS),
        "amount_to_mean",
        "amount_to_max",
        "total_1h_to_mean",
        "merchant_visited",
        *(f"max_amount_to_mean_{w.label}" for w in RECENT_WINDOWS),
        "since_last_txn",
        "txn_count_1h",
        "total_amount_1h",
        "avg_amount_1h",
        "unique_merchants_1h",
        "lifetime_txn_count",
        "avg_txn_amount",
        "std_txn_amount",
        "max_txn_amount",
        "num_merchants",
        "num_countries",
        "hour_of_day",
        "day_of_week",
        "is_international",
        "is_online",
        "merchant_category",
        "device_type",
    ),
)

SYSTEM = System(
    features=FEATURES,
    topics=(TRANSACTION_TOPIC, LABEL_TOPIC),
    label=ReportedLabel(source=FRAUD_LABELS, column="is_fraud", delay=LABEL_DELAY, beside=("scenario",)),
    served=DECISION_TOPIC,
)

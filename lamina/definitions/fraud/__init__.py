"""Fraud detection: what is known of a card transaction, its user and its merchant.

The 1, 7 and 30 day windows are those of Le Borgne et al. 2022 (Reproducible Machine Learning for Credit Card Fraud
Detection, 3.3): the current transaction included, and a merchant's labels known after seven days.

What tells a stolen card is an amount far above its user's own: so are the largest amounts of the last days, and the one
at hand, divided by the mean of 90 days; and a merchant where the user never was. What tells a compromised merchant is
when its known frauds began and how many of its transactions since then were fraud; and, long before the labels of those
days are complete, how many frauds were reported of it lately.
"""

from __future__ import annotations

from lamina.contracts.features import (
    Elapsed,
    FeatureSet,
    Ratio,
    RequestFeature,
)
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.fraud_decisions import DECISION_TOPIC
from lamina.contracts.labels import ReportedLabel
from lamina.contracts.systems import System
from lamina.contracts.transactions import LABEL_TOPIC, TRANSACTION_TOPIC
from lamina.contracts.watching import Watching
from lamina.definitions.fraud.merchants import (
    MERCHANT_FRAUD,
    MERCHANT_FRAUD_SPAN,
    MERCHANT_LAST_KNOWN,
    MERCHANT_PEAKS,
    MERCHANT_REPORTS,
    MERCHANT_TRAFFIC,
)
from lamina.definitions.fraud.sources import (
    FRAUD_LABELS,
    FRAUD_REPORTS,
    HANDBOOK_WINDOWS,
    LABEL_DELAY,
    MERCHANT,
    MERCHANT_WINDOWS,
    PEAK_WINDOWS,
    RECENT_WINDOWS,
    REPORT_WINDOWS,
    REVISIONS,
    TRANSACTIONS,
    USER,
)
from lamina.definitions.fraud.users import (
    USER_HISTORY,
    USER_LAST_SEEN,
    USER_PEAKS,
    USER_SPEND,
    USER_VELOCITY,
    USER_VISITS,
)

__all__ = [
    "FEATURES",
    "FRAUD_LABELS",
    "FRAUD_REPORTS",
    "HANDBOOK_WINDOWS",
    "MERCHANT",
    "MERCHANT_FRAUD",
    "MERCHANT_TRAFFIC",
    "SYSTEM",
    "TRANSACTIONS",
    "USER",
    "USER_HISTORY",
    "USER_LAST_SEEN",
    "USER_SPEND",
    "USER_VELOCITY",
]

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
    # What an analyst does with a case says what it was; the words of a label say it, too.
    feedback=FeedbackLabel(
        order=REVISIONS.order,
        within=LABEL_DELAY,
        grades={"fraud": 1, "reject": 1, "honest": 0, "approve": 0},
    ),
    served=DECISION_TOPIC,
    # A declined payment did not happen: nobody hears of it again.
    watching=Watching(alarms=("review", "reject"), withholding=("reject",)),
)

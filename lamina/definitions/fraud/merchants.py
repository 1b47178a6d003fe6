"""What is known of whoever is paid: traffic, the largest amounts, and the frauds, as they were reported."""

from __future__ import annotations

from lamina.contracts.aggregates import (
    count,
    first_time,
    last_time,
    maximum,
)
from lamina.contracts.features import (
    FeatureView,
    Layers,
    days,
    hours,
    seconds,
)
from lamina.definitions.fraud.sources import (
    FRAUD_LABELS,
    FRAUD_REPORTS,
    IS_FRAUD,
    LABEL_DELAY,
    MERCHANT,
    MERCHANT_WINDOWS,
    PEAK_WINDOWS,
    REPORT_WINDOWS,
    TRANSACTIONS,
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

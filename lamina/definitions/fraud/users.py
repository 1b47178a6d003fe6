"""What is known of whoever pays: how often, how much, where, and when last."""

from __future__ import annotations

from lamina.contracts.aggregates import (
    count,
    distinct,
    last,
    last_time,
    maximum,
    mean,
    std,
    total,
)
from lamina.contracts.features import (
    FeatureView,
    days,
    hours,
    seconds,
)
from lamina.definitions.fraud.sources import (
    HANDBOOK_WINDOWS,
    LOCATED,
    RECENT_WINDOWS,
    TRANSACTIONS,
    USER,
)

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

"""A feature set that holds every kind of aggregate, with and without a condition, on both sources and at three
resolutions."""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Aggregate,
    Predicate,
    count,
    decayed_count,
    distinct,
    first,
    first_time,
    last,
    last_k,
    last_time,
    maximum,
    mean,
    minimum,
    session_count,
    std,
    total,
)
from lamina.contracts.features import (
    Chosen,
    Duration,
    Elapsed,
    Entity,
    FeatureSet,
    FeatureView,
    Membership,
    Ratio,
    RequestFeature,
    Window,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.contracts.labels import ReportedLabel
from lamina.contracts.served import served_topic
from lamina.contracts.systems import System
from lamina.definitions.fraud import FRAUD_LABELS, MERCHANT, TRANSACTIONS, USER

FRENCH = Predicate("country", "=", "FR")
LOCATED = Predicate("location.lat", "is not null")
UNLOCATED = Predicate("location.lat", "is null")
LARGE = Predicate("amount", ">=", 30.5)
FRAUD = Predicate("is_fraud", "=", True)


HOT_MERCHANT = Entity("hot_merchant", "merchant_id", hot=True)


def _aggregates(where: Predicate | None, prefix: str, resolution: Duration) -> tuple[Aggregate, ...]:
    return (
        count(f"{prefix}count", where=where),
        total("amount", f"{prefix}total", where=where),
        mean("amount", f"{prefix}mean", where=where),
        mean("location.lat", f"{prefix}mean_lat", where=where),
        minimum("amount", f"{prefix}minimum", where=where),
        maximum("timestamp", f"{prefix}maximum", where=where),
        std("amount", f"{prefix}std", where=where),
        first("merchant_id", f"{prefix}first", where=where),
        last("location.lon", f"{prefix}last", where=where),
        last("timestamp", f"{prefix}last_long", where=where),
        first_time(f"{prefix}first_time", where=where),
        last_time(f"{prefix}last_time", where=where),
        session_count(f"{prefix}session", gap=max(resolution, hours(7)), where=where),
        decayed_count(f"{prefix}decayed", half_life=hours(8), where=where),
        decayed_count(f"{prefix}decayed_fast", half_life=max(minutes(10), seconds(resolution.s // 100)), where=where),
    )


def _keyed(where: Predicate | None, prefix: str) -> tuple[Aggregate, ...]:
    """Those whose every value is a tile of its own in the speed layer, and a step of the stream job."""
    return (
        distinct("merchant_id", f"{prefix}distinct", cap=3, where=where),
        distinct("timestamp", f"{prefix}distinct_long", cap=1000, where=where),
        distinct("transaction_id", f"{prefix}sketch", cap=10, where=where),
        last_k("merchant_id", f"{prefix}last_k", k=4, where=where),
        last_k("location.lat", f"{prefix}last_k_double", k=2, where=where),
    )


VIEWS = (
    *(
        FeatureView(
            name=name,
            entity=USER,
            source=TRANSACTIONS,
            owner="test",
            aggregates=_aggregates(where, f"{name}_", resolution)
            + (() if name in ("located", "unlocated") else _keyed(where, f"{name}_")),
            windows=windows,
            resolution=resolution,
        )
        for name, where, resolution, windows in (
            ("plain", None, seconds(1), (seconds(7), hours(6), Window(days(9), resolution=hours(1)))),
            ("french", FRENCH, minutes(1), (minutes(1), days(2))),
            ("located", LOCATED, minutes(1), (days(2),)),
            ("unlocated", UNLOCATED, days(1), (days(3),)),
            ("large", LARGE, days(1), (days(30),)),
        )
    ),
    FeatureView(
        name="hot",
        entity=HOT_MERCHANT,
        source=TRANSACTIONS,
        owner="test",
        aggregates=(
            count("hot_count"),
            distinct("user_id", "hot_users", cap=3),
            distinct("transaction_id", "hot_ids", cap=16, where=LARGE),
            last_k("user_id", "hot_last_users", k=3),
            decayed_count("hot_decayed", half_life=hours(1)),
        ),
        windows=(hours(2), days(2)),
        resolution=minutes(1),
    ),
    FeatureView(
        name="labels",
        entity=MERCHANT,
        source=FRAUD_LABELS,
        owner="test",
        aggregates=(
            count("frauds", where=FRAUD),
            first_time("first_fraud", where=FRAUD),
            last_time("last_fraud", where=FRAUD),
            last("user_id", "last_victim", where=FRAUD),
            distinct("is_fraud", "kinds", cap=5),
        ),
        windows=(days(5),),
        resolution=seconds(1),
        delay=days(1),
    ),
)

EVERYTHING = FeatureSet(
    system="everything",
    request=TRANSACTIONS,
    views=VIEWS,
    ratios=(
        Ratio("large_share", "large_count_30d", "plain_count_9d"),
        Ratio("against_own", "amount", "french_mean_2d", default=None),
        Ratio("own_share", "plain_total_6h", "amount", default=-1.0),
        Ratio("country_share", "country_count", "plain_count_9d"),
    ),
    elapsed=(
        Elapsed("since_last", "plain_last_time_6h"),
        Elapsed("fraud_lasted", "first_fraud_5d", until="last_fraud_5d"),
        Elapsed("since_country", "country_last_time"),
    ),
    chosen=(
        Chosen("country_count", "country", {"FR": "french_count_2d", "DE": "located_count_2d"}, default=-1.0),
        Chosen("country_mean", "country", {"FR": "french_mean_1m", "BE": "large_mean_30d", "": "plain_mean_9d"}),
        Chosen("country_last_time", "country", {"FR": "french_last_time_2d", "BE": "plain_last_time_6h"}),
        # Said a second time, two values have one feature; what candidates bring names one of theirs.
        Chosen("shop_count", "merchant_id", {"m0": "hot_count_2h", "m1": "hot_count_2d", "m2": "hot_count_2h"}),
        Chosen("shop_decayed", "merchant_id", {"m1": "plain_decayed_6h", "m2": "french_decayed_2d"}, default=0.0),
    ),
    memberships=(
        Membership("met_lately", "merchant_id", "plain_last_k_9d"),
        Membership("met_in_france", "merchant_id", "french_last_k_1m"),
        Membership("shop_knows", "user_id", "hot_last_users_2d"),
    ),
    request_features=(RequestFeature("amount", "field", "amount"),),
    model_features=("amount",),
)

EVERYTHING_SYSTEM = System(
    features=EVERYTHING,
    label=ReportedLabel(source=FRAUD_LABELS, column="is_fraud", delay=days(7), beside=("scenario",)),
    served=served_topic("everything"),
)

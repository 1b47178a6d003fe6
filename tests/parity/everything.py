"""A feature set that holds every kind of aggregate, with and without a condition, on both sources and at three
resolutions."""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Aggregate,
    Predicate,
    count,
    distinct,
    first,
    last,
    last_time,
    maximum,
    mean,
    minimum,
    std,
    total,
)
from lamina.contracts.features import FeatureSet, FeatureView, RequestFeature, days, hours, minutes, seconds
from lamina.definitions.fraud import FRAUD_LABELS, MERCHANT, TRANSACTIONS, USER

FRENCH = Predicate("country", "=", "FR")
LOCATED = Predicate("location.lat", "is not null")
UNLOCATED = Predicate("location.lat", "is null")
LARGE = Predicate("amount", ">=", 30.5)
FRAUD = Predicate("is_fraud", "=", True)


def _aggregates(where: Predicate | None, prefix: str) -> tuple[Aggregate, ...]:
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
        last_time(f"{prefix}last_time", where=where),
        distinct("merchant_id", f"{prefix}distinct", cap=3, where=where),
        distinct("timestamp", f"{prefix}distinct_long", cap=1000, where=where),
    )


VIEWS = (
    *(
        FeatureView(
            name=name,
            entity=USER,
            source=TRANSACTIONS,
            owner="test",
            aggregates=_aggregates(where, f"{name}_"),
            windows=windows,
            resolution=resolution,
        )
        for name, where, resolution, windows in (
            ("plain", None, seconds(1), (seconds(7), hours(6), days(9))),
            ("french", FRENCH, minutes(1), (minutes(1), days(2))),
            ("located", LOCATED, minutes(1), (days(2),)),
            ("unlocated", UNLOCATED, days(1), (days(3),)),
            ("large", LARGE, days(1), (days(30),)),
        )
    ),
    FeatureView(
        name="labels",
        entity=MERCHANT,
        source=FRAUD_LABELS,
        owner="test",
        aggregates=(
            count("frauds", where=FRAUD),
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
    labels=FRAUD_LABELS,
    views=VIEWS,
    ratios=(),
    request_features=(RequestFeature("amount", "field", "amount"),),
    model_features=("amount",),
)

"""A small feature set with features that cross others with a column of the request."""

from __future__ import annotations

from lamina.contracts.aggregates import Predicate, count, decayed_count, last_k, last_time, mean
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    FeatureSet,
    FeatureView,
    Membership,
    Ratio,
    days,
    hours,
    minutes,
)
from lamina.definitions.fraud import MERCHANT, TRANSACTIONS, USER

FRENCH, BELGIAN = Predicate("country", "=", "FR"), Predicate("country", "=", "BE")
VIEW = FeatureView(
    name="payments",
    entity=USER,
    source=TRANSACTIONS,
    owner="test",
    aggregates=(
        count("french", where=FRENCH),
        count("belgian", where=BELGIAN),
        mean("amount", "french_mean", where=FRENCH),
        mean("amount", "belgian_mean", where=BELGIAN),
        last_time("french_at", where=FRENCH),
        last_time("belgian_at", where=BELGIAN),
        decayed_count("french_heat", half_life=hours(1), where=FRENCH),
        decayed_count("belgian_heat", half_life=hours(1), where=BELGIAN),
        last_k("merchant_id", "shops", k=3),
    ),
    windows=(days(7),),
    resolution=minutes(1),
    suffix=False,
)
OF_SHOP = FeatureView(
    name="visits",
    entity=MERCHANT,
    source=TRANSACTIONS,
    owner="test",
    aggregates=(last_k("user_id", "visitors", k=9),),
    windows=(hours(1),),
    resolution=minutes(1),
)
FEATURES = FeatureSet(
    system="crossed",
    request=TRANSACTIONS,
    views=(VIEW, OF_SHOP),
    chosen=(
        Chosen("n", "country", {"FR": "french", "BE": "belgian"}, default=0.0),
        Chosen("n_if_known", "country", {"FR": "french", "BE": "belgian"}),
        Chosen("mean", "country", {"FR": "french_mean", "BE": "belgian_mean"}, default=0.0),
        Chosen("at", "country", {"FR": "french_at", "BE": "belgian_at"}),
        Chosen("heat", "country", {"FR": "french_heat", "BE": "belgian_heat"}, default=0.0),
    ),
    memberships=(Membership("known", "merchant_id", "shops"), Membership("knows", "user_id", "visitors_1h")),
    ratios=(Ratio("share", "n", "french"), Ratio("heat_share", "heat", "french_heat")),
    elapsed=(Elapsed("since", "at"),),
    model_features=("n", "n_if_known", "mean", "heat", "known", "share", "since"),
)

"""Two definitions of one system: in the new one a view is added, one changed, one removed."""

from __future__ import annotations

from dataclasses import replace

from lamina.contracts.aggregates import Predicate, count, distinct, maximum, total
from lamina.contracts.features import FeatureSet, FeatureView, days, hours, seconds
from lamina.definitions.fraud import TRANSACTIONS, USER

SPEND = FeatureView(
    name="spend",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(count("n"), total("amount", "spent")),
    windows=(hours(1), days(7)),
    resolution=seconds(1),
    stale_after=seconds(60),
)
PEAKS = FeatureView(
    name="peaks",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(maximum("amount", "peak"),),
    windows=(days(2),),
    resolution=days(1),
)
VARIETY = FeatureView(
    name="variety",
    entity=USER,
    source=TRANSACTIONS,
    owner="fraud",
    aggregates=(distinct("device_type", "devices", cap=8),),
    windows=(days(7),),
    resolution=seconds(1),
)
ONLINE = replace(
    SPEND,
    version=2,
    aggregates=(count("n"), total("amount", "spent", where=Predicate("transaction_type", "=", "online"))),
)
OLD = FeatureSet(system="fraud", request=TRANSACTIONS, views=(SPEND, PEAKS))
NEW = replace(OLD, views=(ONLINE, VARIETY))

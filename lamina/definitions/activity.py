"""What users do in a shop: their purchases, their sessions, and how much is going on around an item.

Features without a model: what they are for is up to whoever reads them, such as a recommender or a report.
"""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Predicate,
    count,
    decayed_count,
    distinct,
    last_k,
    last_time,
    maximum,
    mean,
    session_count,
    std,
)
from lamina.contracts.features import (
    Elapsed,
    Entity,
    EventSource,
    FeatureSet,
    FeatureView,
    Layers,
    Window,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.contracts.systems import System
from lamina.contracts.user_events import USER_EVENT_TOPIC

USER = Entity("shopper", "user_id")
ITEM = Entity("item", "item_id", hot=True)

USER_EVENTS = EventSource(
    name="user_events",
    topic=USER_EVENT_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={
        "event_id": "string",
        "user_id": "string",
        "event_type": "string",
        "item_id": "string",
        "session_id": "string",
        "page": "string",
        "purchase_id": "string",
        "purchase_amount": "double",
        "timestamp": "long",
    },
    optional=("purchase_id", "purchase_amount"),
)

PAGE_VIEW = Predicate("event_type", "=", "page_view")
PURCHASE = Predicate("event_type", "=", "purchase")

USER_PURCHASES = FeatureView(
    name="user_purchases",
    entity=USER,
    source=USER_EVENTS,
    owner="activity",
    aggregates=(
        count("num_purchase", where=PURCHASE),
        mean("purchase_amount", "avg_purchase", where=PURCHASE),
        maximum("purchase_amount", "max_purchase", where=PURCHASE),
        std("purchase_amount", "std_purchase", where=PURCHASE),
    ),
    windows=(days(30),),
    resolution=days(1),
    delay=days(1),
    layers=Layers.BATCH,
)

USER_LAST_ACTIVITY = FeatureView(
    name="user_last_activity",
    entity=USER,
    source=USER_EVENTS,
    owner="activity",
    aggregates=(
        last_time("last_activity_timestamp"),
        last_time("last_purchase_timestamp", where=PURCHASE),
        last_k("item_id", "last_items", k=5),
    ),
    windows=(days(30),),
    resolution=seconds(1),
    suffix=False,
)

USER_SESSION = FeatureView(
    name="user_session",
    entity=USER,
    source=USER_EVENTS,
    owner="activity",
    aggregates=(session_count("session_page_views", gap=minutes(30), where=PAGE_VIEW),),
    windows=(days(1),),
    resolution=seconds(1),
    suffix=False,
)

ITEM_TRAFFIC = FeatureView(
    name="item_traffic",
    entity=ITEM,
    source=USER_EVENTS,
    owner="activity",
    aggregates=(
        count("item_events"),
        distinct("user_id", "item_users", cap=1024),
        decayed_count("item_heat", half_life=hours(1)),
    ),
    windows=(hours(1), Window(days(7), resolution=hours(1))),
    resolution=minutes(1),
)

FEATURES = FeatureSet(
    system="activity",
    request=USER_EVENTS,
    views=(USER_PURCHASES, USER_LAST_ACTIVITY, USER_SESSION, ITEM_TRAFFIC),
    elapsed=(Elapsed("time_since_last_purchase", "last_purchase_timestamp"),),
)

SYSTEM = System(features=FEATURES, topics=(USER_EVENT_TOPIC,))

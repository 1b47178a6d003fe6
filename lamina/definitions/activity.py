"""What users do in a shop: their purchases, their sessions, and how much is going on around an item.

The model is asked about a page view: will this user buy this item within a day? A report or a recommender may read the
same features.
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
    Ratio,
    RequestFeature,
    Window,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.labels import FollowedLabel
from lamina.contracts.served import served_topic
from lamina.contracts.systems import System
from lamina.contracts.user_events import USER_EVENT_TOPIC
from lamina.contracts.watching import Watching

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
    # How often the same users come back to an item.
    ratios=(Ratio("item_events_per_user_7d", "item_events_7d", "item_users_7d", default=None),),
    elapsed=(
        Elapsed("time_since_last_purchase", "last_purchase_timestamp"),
        Elapsed("time_since_last_activity", "last_activity_timestamp"),
    ),
    request_features=(
        RequestFeature("hour_of_day", "hour_of_day"),
        RequestFeature("day_of_week", "day_of_week"),
        RequestFeature("weekend", "weekend"),
    ),
    model_features=(
        "num_purchase_30d",
        "avg_purchase_30d",
        "max_purchase_30d",
        "std_purchase_30d",
        "time_since_last_purchase",
        "time_since_last_activity",
        "session_page_views",
        "item_events_1h",
        "item_events_7d",
        "item_users_1h",
        "item_users_7d",
        "item_events_per_user_7d",
        "item_heat_1h",
        "item_heat_7d",
        "hour_of_day",
        "day_of_week",
        "weekend",
    ),
)

PURCHASED = FollowedLabel(
    source=USER_EVENTS,
    column="purchased",
    keys=("user_id", "item_id"),
    within=days(1),
    where=PURCHASE,
    rows=PAGE_VIEW,
)

SYSTEM = System(
    features=FEATURES,
    topics=(USER_EVENT_TOPIC,),
    label=PURCHASED,
    # A user who goes on without buying has said so; one who comes back and buys has bought.
    feedback=FeedbackLabel(
        order=("user_events", "shop", "user"),
        within=PURCHASED.within,
        grades={"purchase": 1, "skip": 0},
        keeps="largest",
    ),
    served=served_topic("activity"),
    min_auc=0.65,
    # Whether somebody buys is hard to tell: its models are good from 0.65 on.
    watching=Watching(min_auc=0.60),
)

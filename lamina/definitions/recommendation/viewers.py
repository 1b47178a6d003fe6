"""What is known of a viewer: the habits of a month, what is watched just now, whom they follow, what they said to like.

Lists are for whoever looks for candidates, and for features that compare them with a candidate.
"""

from __future__ import annotations

from lamina.contracts.aggregates import (
    Predicate,
    count,
    first_time,
    last,
    last_k,
    last_time,
    mean,
    session_count,
    total,
)
from lamina.contracts.features import FeatureView, Layers, days, hours, minutes, seconds
from lamina.definitions.recommendation.sources import (
    CATEGORIES,
    DAY_PARTS,
    FOLLOWS,
    IMPRESSIONS,
    INTERESTS,
    VIEWER,
    WATCHES,
)

RECENT_VIDEOS = 50
NOW = 5
INTERESTS_SAID = 5
FOLLOWED = 50
FIRST_OF_A_LIST = Predicate("position", "=", 0)

VIEWER_HABITS = FeatureView(
    name="viewer_habits",
    entity=VIEWER,
    source=WATCHES,
    owner="recommendation",
    aggregates=(
        count("watch_frequency"),
        total("seconds", "watched_s"),
        mean("seconds", "avg_watch_time"),
        mean("share", "avg_watched_share"),
        count("num_likes", where=Predicate("liked", "=", True)),
        *(total("seconds", f"{c}_watched_s", where=Predicate("category", "=", c)) for c in CATEGORIES),
        *(count(f"{part}_watches", where=Predicate("day_part", "=", part)) for part in DAY_PARTS),
    ),
    windows=(days(30),),
    resolution=days(1),
    delay=days(1),
    layers=Layers.BATCH,
)

VIEWER_SHOWN = FeatureView(
    name="viewer_shown",
    entity=VIEWER,
    source=IMPRESSIONS,
    owner="recommendation",
    aggregates=(count("num_shown"),),
    windows=(days(30),),
    resolution=days(1),
    delay=days(1),
    layers=Layers.BATCH,
)

VIEWER_RECENT = FeatureView(
    name="viewer_recent",
    entity=VIEWER,
    source=WATCHES,
    owner="recommendation",
    aggregates=(
        last_k("video_id", "recent_videos", k=RECENT_VIDEOS),
        last_time("last_watch_timestamp"),
    ),
    windows=(days(30),),
    resolution=seconds(1),
    suffix=False,
)

VIEWER_NOW = FeatureView(
    name="viewer_now",
    entity=VIEWER,
    source=WATCHES,
    owner="recommendation",
    aggregates=(
        count("viewer_watches"),
        total("seconds", "viewer_watched_s"),
        last_k("category", "recent_categories", k=NOW),
    ),
    windows=(hours(1),),
    resolution=seconds(1),
)

VIEWER_SESSION = FeatureView(
    name="viewer_session",
    entity=VIEWER,
    source=IMPRESSIONS,
    owner="recommendation",
    aggregates=(
        session_count("session_page_views", gap=minutes(30), where=FIRST_OF_A_LIST),
        last_time("last_activity_timestamp", where=FIRST_OF_A_LIST),
        last("device", "device_type", where=FIRST_OF_A_LIST),
    ),
    windows=(days(1),),
    resolution=seconds(1),
    suffix=False,
)

VIEWER_FOLLOWS = FeatureView(
    name="viewer_follows",
    entity=VIEWER,
    source=FOLLOWS,
    owner="recommendation",
    # The list has who was followed last, also those who are no longer.
    aggregates=(last_k("channel_id", "followed_channels", k=FOLLOWED, where=Predicate("followed", "=", True)),),
    windows=(days(90),),
    resolution=seconds(1),
    suffix=False,
)

VIEWER_PROFILE = FeatureView(
    name="viewer_profile",
    entity=VIEWER,
    source=INTERESTS,
    owner="recommendation",
    aggregates=(first_time("signup_timestamp"), last_k("category", "interests", k=INTERESTS_SAID)),
    windows=(days(90),),
    resolution=seconds(1),
    suffix=False,
)

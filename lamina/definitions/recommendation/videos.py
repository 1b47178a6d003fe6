"""What is known of a video and its channel: what the catalogue says, how much it is watched and liked, and by how many
of those who were shown it.
"""

from __future__ import annotations

from lamina.contracts.aggregates import Predicate, count, decayed_count, first_time, last, mean
from lamina.contracts.features import FeatureView, Window, days, hours, minutes
from lamina.definitions.recommendation.sources import CHANNEL, FOLLOWS, IMPRESSIONS, UPLOADS, VIDEO, WATCHES

LIKED = Predicate("liked", "=", True)
LATELY = (hours(1), Window(days(7), resolution=hours(1)))

VIDEO_CATALOGUE = FeatureView(
    name="video_catalogue",
    entity=VIDEO,
    source=UPLOADS,
    owner="recommendation",
    # Of the events of the window: one that is older and was edited since is as old as the edit.
    aggregates=(
        first_time("uploaded_timestamp"),
        last("duration_s", "video_duration_s"),
        last("quality", "video_quality"),
        last("category", "video_category"),
        last("channel_id", "video_channel"),
        last("tags", "video_tags"),
        last("content_rating", "video_content_rating"),
        last("status", "video_status"),
    ),
    windows=(days(90),),
    resolution=minutes(1),
    suffix=False,
)

VIDEO_VIEWS = FeatureView(
    name="video_views",
    entity=VIDEO,
    source=WATCHES,
    owner="recommendation",
    aggregates=(count("video_views"), count("video_likes", where=LIKED)),
    windows=LATELY,
    resolution=minutes(1),
)

VIDEO_WATCHED = FeatureView(
    name="video_watched",
    entity=VIDEO,
    source=WATCHES,
    owner="recommendation",
    aggregates=(count("video_view_count"), mean("seconds", "video_avg_watch_s"), mean("share", "video_avg_share")),
    windows=(days(30),),
    resolution=hours(1),
)

VIDEO_TREND = FeatureView(
    name="video_trend",
    entity=VIDEO,
    source=WATCHES,
    owner="recommendation",
    aggregates=(decayed_count("trending_score", half_life=hours(6)),),
    windows=(days(2),),
    resolution=minutes(1),
    suffix=False,
)

VIDEO_SHOWN = FeatureView(
    name="video_shown",
    entity=VIDEO,
    source=IMPRESSIONS,
    owner="recommendation",
    aggregates=(count("video_shown"),),
    windows=LATELY,
    resolution=minutes(1),
)

CHANNEL_VIEWS = FeatureView(
    name="channel_views",
    entity=CHANNEL,
    source=WATCHES,
    owner="recommendation",
    aggregates=(count("channel_views"), count("channel_likes", where=LIKED)),
    windows=LATELY,
    resolution=minutes(1),
)

CHANNEL_SHOWN = FeatureView(
    name="channel_shown",
    entity=CHANNEL,
    source=IMPRESSIONS,
    owner="recommendation",
    aggregates=(count("channel_shown"),),
    windows=LATELY,
    resolution=minutes(1),
)

CHANNEL_FOLLOWERS = FeatureView(
    name="channel_followers",
    entity=CHANNEL,
    source=FOLLOWS,
    owner="recommendation",
    aggregates=(count("channel_new_followers", where=Predicate("followed", "=", True)),),
    windows=(days(30),),
    resolution=hours(1),
)

"""Video recommendation: what viewers are shown and watch, which videos there are, and how much is watched of each.

The model is asked about a video that a viewer may be shown: will the viewer watch it within an hour? Whoever looks for
candidates reads the same features.
"""

from __future__ import annotations

from lamina.contracts.features import Chosen, Elapsed, FeatureSet, Membership, Ratio, RequestFeature, hours
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.labels import FollowedLabel
from lamina.contracts.served import served_topic
from lamina.contracts.systems import System
from lamina.contracts.videos import FOLLOW_TOPIC, IMPRESSION_TOPIC, INTEREST_TOPIC, UPLOAD_TOPIC, WATCH_TOPIC
from lamina.contracts.watching import Watching
from lamina.definitions.recommendation.sources import (
    CATEGORIES,
    CHANNEL,
    DAY_PARTS,
    FOLLOWS,
    IMPRESSIONS,
    INTERESTS,
    UPLOADS,
    VIDEO,
    VIEWER,
    WATCHES,
)
from lamina.definitions.recommendation.videos import (
    CHANNEL_FOLLOWERS,
    CHANNEL_SHOWN,
    CHANNEL_VIEWS,
    VIDEO_CATALOGUE,
    VIDEO_SHOWN,
    VIDEO_TREND,
    VIDEO_VIEWS,
    VIDEO_WATCHED,
)
from lamina.definitions.recommendation.viewers import (
    VIEWER_FOLLOWS,
    VIEWER_HABITS,
    VIEWER_NOW,
    VIEWER_PROFILE,
    VIEWER_RECENT,
    VIEWER_SESSION,
    VIEWER_SHOWN,
)

__all__ = [
    "CATEGORIES",
    "CHANNEL",
    "DAY_PARTS",
    "FEATURES",
    "FOLLOWS",
    "IMPRESSIONS",
    "INTERESTS",
    "SYSTEM",
    "UPLOADS",
    "VIDEO",
    "VIEWER",
    "WATCHED",
    "WATCHES",
]

FEATURES = FeatureSet(
    system="recommendation",
    request=IMPRESSIONS,
    views=(
        VIEWER_HABITS,
        VIEWER_SHOWN,
        VIEWER_RECENT,
        VIEWER_NOW,
        VIEWER_SESSION,
        VIEWER_FOLLOWS,
        VIEWER_PROFILE,
        VIDEO_CATALOGUE,
        VIDEO_VIEWS,
        VIDEO_WATCHED,
        VIDEO_TREND,
        VIDEO_SHOWN,
        CHANNEL_VIEWS,
        CHANNEL_SHOWN,
        CHANNEL_FOLLOWERS,
    ),
    ratios=(
        # Of what was shown, how much was watched: by this viewer, of this video, of this channel.
        Ratio("viewer_watch_rate", "watch_frequency_30d", "num_shown_30d", default=None),
        Ratio("video_watch_rate_1h", "video_views_1h", "video_shown_1h", default=None),
        Ratio("video_watch_rate_7d", "video_views_7d", "video_shown_7d", default=None),
        Ratio("channel_watch_rate_7d", "channel_views_7d", "channel_shown_7d", default=None),
        Ratio("video_like_rate", "video_likes_7d", "video_views_7d", default=None),
        # Of what this viewer watched, how much in the category of this video, and at this part of the day.
        Ratio("category_share", "category_watched_s", "watched_s_30d", default=None),
        Ratio("day_part_share", "day_part_watches", "watch_frequency_30d", default=None),
    ),
    elapsed=(
        Elapsed("time_since_last_watch", "last_watch_timestamp"),
        Elapsed("time_since_signup", "signup_timestamp"),
        Elapsed("video_age", "uploaded_timestamp"),
    ),
    chosen=(
        Chosen("category_watched_s", "category", {c: f"{c}_watched_s_30d" for c in CATEGORIES}, default=0.0),
        Chosen("day_part_watches", "day_part", {part: f"{part}_watches_30d" for part in DAY_PARTS}, default=0.0),
    ),
    memberships=(
        Membership("follows_channel", "channel_id", "followed_channels"),
        Membership("watched_before", "video_id", "recent_videos"),
        Membership("category_watched_now", "category", "recent_categories_1h"),
        Membership("category_of_interest", "category", "interests"),
    ),
    request_features=(
        RequestFeature("category", "field", "category", categorical=True),
        RequestFeature("device", "field", "device", categorical=True),
        RequestFeature("hour_of_day", "hour_of_day"),
        RequestFeature("weekend", "weekend"),
    ),
    model_features=(
        "category_share",
        "category_watched_s",
        "category_watched_now",
        "category_of_interest",
        "follows_channel",
        "watched_before",
        "video_watch_rate_1h",
        "video_watch_rate_7d",
        "video_views_1h",
        "video_views_7d",
        "video_like_rate",
        "video_avg_watch_s_30d",
        "video_avg_share_30d",
        "video_view_count_30d",
        "video_shown_7d",
        "trending_score",
        "video_age",
        "video_duration_s",
        "video_quality",
        "channel_watch_rate_7d",
        "channel_views_1h",
        "channel_views_7d",
        "channel_new_followers_30d",
        "viewer_watch_rate",
        "watch_frequency_30d",
        "avg_watch_time_30d",
        "avg_watched_share_30d",
        "day_part_share",
        "viewer_watches_1h",
        "viewer_watched_s_1h",
        "session_page_views",
        "time_since_last_watch",
        "time_since_signup",
        "category",
        "device",
        "hour_of_day",
        "weekend",
    ),
)

WATCHED = FollowedLabel(
    source=WATCHES,
    column="watched",
    keys=("viewer_id", "video_id"),
    # A watch is told when it is over.
    within=hours(1),
)

SYSTEM = System(
    features=FEATURES,
    topics=(IMPRESSION_TOPIC, WATCH_TOPIC, FOLLOW_TOPIC, INTEREST_TOPIC, UPLOAD_TOPIC),
    label=WATCHED,
    # A viewer who goes on without watching has said so.
    feedback=FeedbackLabel(
        order=(WATCHES.name, "player", "viewer"),
        within=WATCHED.within,
        grades={"watch": 1, "skip": 0},
        keeps="largest",
    ),
    served=served_topic("recommendation"),
    min_auc=0.65,
    # Nine of ten that are shown are not watched, most because nobody looked so far: its models are good from 0.65 on.
    watching=Watching(min_auc=0.60),
)

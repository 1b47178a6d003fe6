"""What recommendation is made from: what was shown, watched and followed, what viewers said to like, and the videos."""

from __future__ import annotations

from lamina.contracts.features import Entity, EventSource
from lamina.contracts.videos import FOLLOW_TOPIC, IMPRESSION_TOPIC, INTEREST_TOPIC, UPLOAD_TOPIC, WATCH_TOPIC

VIEWER = Entity("viewer", "viewer_id")
VIDEO = Entity("video", "video_id", hot=True)
CHANNEL = Entity("channel", "channel_id", hot=True)

CATEGORIES = (
    "music",
    "gaming",
    "comedy",
    "news",
    "sports",
    "cooking",
    "travel",
    "science",
    "film",
    "fashion",
    "crafts",
    "animals",
)
DAY_PARTS = ("night", "morning", "afternoon", "evening")

IMPRESSIONS = EventSource(
    name="video_impressions",
    topic=IMPRESSION_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={
        "event_id": "string",
        "request_id": "string",
        "viewer_id": "string",
        "video_id": "string",
        "channel_id": "string",
        "category": "string",
        "position": "long",
        "source": "string",
        "device": "string",
        "day_part": "string",
        "timestamp": "long",
    },
)

WATCHES = EventSource(
    name="video_watches",
    topic=WATCH_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={
        "event_id": "string",
        "viewer_id": "string",
        "video_id": "string",
        "channel_id": "string",
        "category": "string",
        "seconds": "double",
        "share": "double",
        "liked": "boolean",
        "day_part": "string",
        "timestamp": "long",
    },
)

FOLLOWS = EventSource(
    name="channel_follows",
    topic=FOLLOW_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={
        "event_id": "string",
        "viewer_id": "string",
        "channel_id": "string",
        "followed": "boolean",
        "timestamp": "long",
    },
)

INTERESTS = EventSource(
    name="viewer_interests",
    topic=INTEREST_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={"event_id": "string", "viewer_id": "string", "category": "string", "timestamp": "long"},
)

UPLOADS = EventSource(
    name="video_uploads",
    topic=UPLOAD_TOPIC.name,
    id="event_id",
    timestamp="timestamp",
    columns={
        "event_id": "string",
        "video_id": "string",
        "channel_id": "string",
        "category": "string",
        "tags": "string",
        "duration_s": "double",
        "quality": "long",
        "content_rating": "string",
        "status": "string",
        "timestamp": "long",
    },
)

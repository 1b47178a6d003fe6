"""What viewers are shown and what they watch, whom they follow, what interests them, and which videos there are.

A watch says how long, and is told when it is over. A catalogue event says all that a video is from then on.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lamina.contracts.base import EpochMs, Event, Identifier, Label, Number, RequestId, Truth
from lamina.contracts.expectations import (
    LATENESS,
    Suite,
    between,
    in_time,
    mostly_unique,
    one_of,
    present,
    some_rows,
)
from lamina.contracts.served import Share
from lamina.contracts.topics import EventTopic, Topic

VIDEO_IMPRESSIONS, VIDEO_WATCHES, CHANNEL_FOLLOWS = "video-impressions", "video-watches", "channel-follows"
VIEWER_INTERESTS, VIDEO_UPLOADS = "viewer-interests", "video-uploads"

DayPart = Literal["night", "morning", "afternoon", "evening"]
"""Six hours each, from midnight on, by the clock of the viewer's device."""
Device = Literal["mobile", "desktop", "tv"]
ContentRating = Literal["general", "sensitive"]
VideoStatus = Literal["published", "removed"]

REPEATED = "repeated ids are dropped: many of them mean a producer that repeats"


class ViewerEvent(Event):
    """Something about a viewer."""

    event_id: Identifier
    viewer_id: Identifier

    @property
    def key(self) -> str:
        """Those of one viewer stay in order."""
        return self.viewer_id


class Impression(ViewerEvent):
    """One video on a list that a viewer was shown.

    >>> Impression.from_json(b'{"event_id": 7}')
    Traceback (most recent call last):
    lamina.errors.ContractError: Impression.event_id: Input should be a valid string
    """

    request_id: RequestId = Field(description="Of the list: its items have it in common.")
    video_id: Identifier
    channel_id: Identifier
    category: Label
    position: Annotated[int, Field(ge=0, strict=True)] = Field(description="In the list, from 0 at the top.")
    propensity: Share | None = Field(
        None,
        description="Probability of its position, given those above; absent where chance had no say.",
    )
    source: Label = Field(description="What found it, such as `trending` or `follow`.")
    device: Device
    day_part: DayPart
    timestamp: EpochMs


class Watch(ViewerEvent):
    """A viewer has watched a video; `timestamp` is when the watch was over."""

    video_id: Identifier
    channel_id: Identifier
    category: Label
    seconds: Number = Field(ge=0, le=86_400, description="Watched, in seconds.")
    share: Number = Field(ge=0, le=1, description="Of the video's duration that was watched.")
    liked: Truth
    device: Device
    day_part: DayPart
    timestamp: EpochMs


class Follow(ViewerEvent):
    """A viewer begins or ceases to follow a channel."""

    channel_id: Identifier
    followed: Truth = Field(description="`false` where the viewer follows it no longer.")
    timestamp: EpochMs


class Interest(ViewerEvent):
    """A category that a new viewer says to like; the first of them comes with the sign-up."""

    category: Label
    timestamp: EpochMs


class Upload(Event):
    """What a video is from `timestamp` on: told when it is published, and when it is changed or removed."""

    event_id: Identifier
    video_id: Identifier
    channel_id: Identifier
    category: Label
    tags: str = Field(max_length=512, description="Words about it, sorted and joined by commas.")
    duration_s: Number = Field(gt=0, le=86_400)
    quality: Annotated[int, Field(gt=0, le=8640, strict=True)] = Field(
        description="Lines of the picture, such as 1080."
    )
    content_rating: ContentRating
    status: VideoStatus
    timestamp: EpochMs

    @property
    def key(self) -> str:
        """Those of one video stay in order."""
        return self.video_id


IMPRESSION_TOPIC = EventTopic(
    topic=Topic(VIDEO_IMPRESSIONS),
    contract=Impression,
    suite=Suite(
        VIDEO_IMPRESSIONS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "request_id", "viewer_id", "video_id", "channel_id", "category"),
            mostly_unique("event_id", 0.9, REPEATED),
            between("position", 0, 200, mostly=0.999, why="nobody looks so far down a list"),
            between("propensity", 0, 1),
            one_of("device", "mobile", "desktop", "tv"),
            *in_time(),
        ),
    ),
)
WATCH_TOPIC = EventTopic(
    topic=Topic(VIDEO_WATCHES),
    contract=Watch,
    suite=Suite(
        VIDEO_WATCHES,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "viewer_id", "video_id", "channel_id", "category"),
            mostly_unique("event_id", 0.9, REPEATED),
            between("seconds", 0, 14_400, mostly=0.999, why="milliseconds sent as seconds"),
            between("share", 0, 1),
            *in_time(),
        ),
    ),
)
FOLLOW_TOPIC = EventTopic(
    topic=Topic(CHANNEL_FOLLOWS),
    contract=Follow,
    suite=Suite(
        CHANNEL_FOLLOWS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "viewer_id", "channel_id"),
            mostly_unique("event_id", 0.9, REPEATED),
            *in_time(),
        ),
        silence="warning",
    ),
)
INTEREST_TOPIC = EventTopic(
    topic=Topic(VIEWER_INTERESTS),
    contract=Interest,
    suite=Suite(
        VIEWER_INTERESTS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "viewer_id", "category"),
            mostly_unique("event_id", 0.9, REPEATED),
            *in_time(),
        ),
        silence="warning",
    ),
)
UPLOAD_TOPIC = EventTopic(
    topic=Topic(VIDEO_UPLOADS),
    contract=Upload,
    suite=Suite(
        VIDEO_UPLOADS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "video_id", "channel_id", "category"),
            mostly_unique("event_id", 0.9, REPEATED),
            between("duration_s", 1, 43_200, mostly=0.999, why="milliseconds sent as seconds"),
            one_of("content_rating", "general", "sensitive"),
            one_of("status", "published", "removed"),
            *in_time(),
        ),
        silence="warning",
    ),
)

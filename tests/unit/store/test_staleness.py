"""An answer says when a view lacks more than it may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet, Window, days, hours, minutes
from lamina.definitions.activity import FEATURES as ACTIVITY
from lamina.definitions.activity import USER_PURCHASES
from lamina.definitions.fraud import FEATURES, MERCHANT_TRAFFIC, USER, USER_VELOCITY
from lamina.semantics.plan import make_plan
from lamina.store.staleness import Staleness, stale, stream_watermark

NOON = 1_533_729_600_000
MIDNIGHT = NOON - DAY_MS // 2
STREAM = stream_watermark("transactions")


def stale_views(features: FeatureSet, complete: dict[str, int], at_ms: int = NOON) -> frozenset[str]:
    return stale(Staleness(make_plan(features)).begins(complete), at_ms)


@pytest.mark.parametrize(
    ("complete", "stale"),
    [
        ({"user": MIDNIGHT, "merchant": MIDNIGHT}, set()),
        # Three days are what the speed layer holds; labels are asked for when they are a week old, reports at once.
        ({"user": NOON - 3 * DAY_MS + 1, "merchant": NOON - 3 * DAY_MS + 1}, set()),
        ({"user": MIDNIGHT, "merchant": NOON - 6 * DAY_MS}, {"merchant_reports"}),
        (
            {"user": NOON - 3 * DAY_MS, "merchant": MIDNIGHT},
            {v.name for v in FEATURES.views if v.entity == USER},
        ),
        ({"user": MIDNIGHT, "merchant": NOON - 7 * DAY_MS}, {v.name for v in FEATURES.views if v.entity != USER}),
        ({}, {v.name for v in FEATURES.views}),
    ],
)
def test_what_the_layers_cannot_hold_is_stale(complete: dict[str, int], stale: set[str]) -> None:
    assert stale_views(FEATURES, complete) == stale


ALONE = replace(ACTIVITY, ratios=(), elapsed=(), model_features=())
"""Without what is made of several views."""


def test_a_batch_view_is_complete_when_its_last_day_is() -> None:
    """Its window ends with the day before: at noon it needs what midnight's run had, after midnight the next one's."""
    own = replace(ALONE, views=(USER_PURCHASES,))
    complete = {"shopper": MIDNIGHT}
    assert not stale_views(own, complete, MIDNIGHT + DAY_MS - 1)
    assert stale_views(own, complete, MIDNIGHT + DAY_MS) == {"user_purchases"}
    patient = replace(ALONE, views=(replace(USER_PURCHASES, stale_after=days(1)),))
    assert not stale_views(patient, complete, MIDNIGHT + DAY_MS)


@pytest.mark.parametrize(("age", "stale"), [(600_000, False), (600_001, True)])
def test_a_stream_that_stands_is_told_where_a_view_asks(age: int, stale: bool) -> None:
    limited = replace(
        FEATURES, views=(replace(USER_VELOCITY, stale_after=minutes(10)),), ratios=(), elapsed=(), model_features=()
    )
    complete = {"user": MIDNIGHT, STREAM: NOON - age}
    assert stale_views(limited, complete) == ({"user_velocity"} if stale else set())


def test_the_batch_layer_is_as_new_as_the_stream_when_it_ends_later() -> None:
    limited = replace(
        FEATURES, views=(replace(USER_VELOCITY, stale_after=hours(13)),), ratios=(), elapsed=(), model_features=()
    )
    assert not stale_views(limited, {"user": MIDNIGHT})


def test_the_earlier_of_two_limits_counts() -> None:
    """A patient view goes stale with a batch layer that is late, although the stream brings events; and the reverse."""
    limited = replace(
        FEATURES, views=(replace(USER_VELOCITY, stale_after=days(30)),), ratios=(), elapsed=(), model_features=()
    )
    late, held = NOON - 3 * DAY_MS, NOON - 3 * DAY_MS + 1
    assert stale_views(limited, {"user": late, STREAM: NOON}) == {"user_velocity"}
    assert not stale_views(limited, {"user": held, STREAM: NOON})


def test_the_finest_window_says_where_the_last_tile_ends() -> None:
    """Windows of a second and of a day with an hour of patience: the seconds are missed at one, not at midnight."""
    mixed = replace(MERCHANT_TRAFFIC, windows=(days(1), Window(days(7), resolution=days(1))), stale_after=hours(1))
    own = replace(FEATURES, views=(mixed,), ratios=(), elapsed=(), model_features=())
    complete = {"merchant": MIDNIGHT}
    one = MIDNIGHT + 7 * DAY_MS + hours(1).ms
    assert not stale_views(own, complete, one - 1)
    assert stale_views(own, complete, one) == {"merchant_traffic"}

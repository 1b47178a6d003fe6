"""What of a topic's settings has to change, without a broker."""

from __future__ import annotations

import pytest

from lamina.contracts.topics import FEATURE_TILES, TILES_MS, TOPICS
from lamina.store.protocol import SPEED_TTL_S
from lamina.streams.topics import OF_TOPIC, changed

TILES = next(t for t in TOPICS if t.name == FEATURE_TILES)
DAY_MS = 86_400_000


def test_tiles_stay_as_long_as_the_speed_layer_needs_them_and_a_day() -> None:
    """An emptied Redis is filled from the topic: what is gone from there is in the batch layer."""
    assert TILES_MS >= 1000 * SPEED_TTL_S + DAY_MS
    assert TILES.config["retention.ms"] == str(TILES_MS)
    assert int(TILES.config["segment.ms"]) <= DAY_MS


@pytest.mark.parametrize(
    ("value", "source", "changes"),
    [
        ("1000", OF_TOPIC, True),
        (str(TILES_MS), OF_TOPIC, False),
        (str(TILES_MS + 1), OF_TOPIC, False),
        ("-1", OF_TOPIC, False),
        (str(TILES_MS + 1), "DEFAULT_CONFIG", True),  # nobody chose it
    ],
)
def test_a_longer_retention_that_somebody_chose_stays(value: str, source: str, changes: bool) -> None:
    found = {"retention.ms": {"value": value, "config_source": source}}
    assert ("retention.ms" in changed(TILES.config, found)) is changes


def test_what_is_right_already_is_left_alone() -> None:
    found = {name: {"value": value, "config_source": OF_TOPIC} for name, value in TILES.config.items()}
    assert changed(TILES.config, found) == {}
    found["cleanup.policy"] = {"value": "compact", "config_source": OF_TOPIC}
    assert changed(TILES.config, found) == {"cleanup.policy": "compact,delete"}

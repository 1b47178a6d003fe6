"""What of a topic's settings has to change, without a broker."""

from __future__ import annotations

import pytest

from lamina.catalog import TOPICS
from lamina.contracts.topics import FEATURE_TILES, TILES_MS
from lamina.errors import UnknownTopic
from lamina.store.protocol import SPEED_TTL_S
from lamina.streams.topics import OF_TOPIC, changed, contract_of

TILES = next(t for t in TOPICS if t.name == FEATURE_TILES)
DAY_MS = 86_400_000


def told(text: str) -> str:
    """The text as a broker gives it: equal, and another object."""
    return text.encode().decode()


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


@pytest.mark.parametrize(("own", "kept"), [("-1", True), ("-2", True), ("0", False), ("999", False), ("1001", True)])
def test_a_topic_that_keeps_longer_than_asked_goes_on(own: str, kept: bool) -> None:
    found = {"retention.ms": {"value": own, "config_source": told(OF_TOPIC)}}
    assert changed({"retention.ms": "1000"}, found) == ({} if kept else {"retention.ms": "1000"})


def test_what_was_not_set_for_the_topic_is_set_whatever_it_is() -> None:
    for source in ("DEFAULT_CONFIG", "STATIC_BROKER_CONFIG", "A", "Z"):
        found = {"cleanup.policy": {"value": "compact", "config_source": source}}
        assert changed({"cleanup.policy": "compact"}, found) == {"cleanup.policy": "compact"}
    for value in ("a", "z"):
        found = {"cleanup.policy": {"value": value, "config_source": told(OF_TOPIC)}}
        assert changed({"cleanup.policy": "m"}, found) == {"cleanup.policy": "m"}
    assert changed({}, {"retention.ms": {"value": "0", "config_source": OF_TOPIC}}) == {}


def test_events_of_a_topic_have_its_contract() -> None:
    assert contract_of("transactions").__name__ == "Transaction"
    with pytest.raises(UnknownTopic, match=r"topic 'nobodys' has no contract; those that have: .*transactions"):
        contract_of("nobodys")


def test_what_the_broker_tells_is_compared_by_its_text() -> None:
    for name, value in TILES.config.items():
        assert changed({name: value}, {name: {"value": told(value), "config_source": told(OF_TOPIC)}}) == {}

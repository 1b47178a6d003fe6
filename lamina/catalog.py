"""The records of all systems taken together: every topic there is, and the contract of each that carries events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lamina.contracts.base import ID, Event
from lamina.contracts.platform_topics import PLATFORM_CONTRACTS, PLATFORM_EVENTS, PLATFORM_TOPICS
from lamina.contracts.systems import System
from lamina.contracts.topics import EventTopic, Topic
from lamina.definitions import records
from lamina.errors import DefinitionError


def event_topics(systems: Iterable[System]) -> dict[str, EventTopic]:
    """The topics of events that `systems` describe, by name.

    Raises: DefinitionError: two describe one topic in two ways, one is the platform's own, or features are made from a
    topic that nobody describes.
    """
    systems, found = tuple(systems), dict[str, EventTopic]()
    for system in systems:
        for topic in system.event_topics:
            if found.setdefault(topic.name, topic) != topic or topic.name in {t.name for t in PLATFORM_TOPICS}:
                raise DefinitionError(
                    f"system {system.name!r}: topic {topic.name!r} is described elsewhere in another way: a topic has "
                    "one contract, so use that description or another name"
                )
    for system in systems:
        if unknown := sorted(set(system.feature_topics) - set(found)):
            raise DefinitionError(
                f"system {system.name!r}: no record describes topics {unknown}: add each to the topics of a system"
            )
    return found


SYSTEM_TOPICS: dict[str, EventTopic] = event_topics(records())
"""Topics of the systems' own events, by name."""

EVENT_TOPICS: dict[str, EventTopic] = {**SYSTEM_TOPICS, **{events.name: events for events in PLATFORM_EVENTS}}
"""Topics of all events that are kept in the lake, by name."""

TOPICS: tuple[Topic, ...] = (*(events.topic for events in SYSTEM_TOPICS.values()), *PLATFORM_TOPICS)
"""Every topic."""

CONTRACTS: dict[str, type[Event]] = {
    **{name: events.contract for name, events in SYSTEM_TOPICS.items()},
    **PLATFORM_CONTRACTS,
}
"""The contract of each topic that carries events."""


def id_fields() -> frozenset[str]:
    """Names of the fields that hold an id, of the events of all systems.

    >>> sorted(id_fields() & {"user_id", "session_id", "amount"})
    ['session_id', 'user_id']
    """
    return frozenset(name for events in EVENT_TOPICS.values() for name in _ids(events.contract))


def _ids(contract: type[Event]) -> Iterator[str]:
    for name, field in contract.model_json_schema()["properties"].items():
        if any(kind.get("format") == ID for kind in (field, *field.get("anyOf", ()))):
            yield name

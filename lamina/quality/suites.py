"""The suite of each topic that is kept in the lake."""

from __future__ import annotations

from lamina.catalog import EVENT_TOPICS
from lamina.contracts.expectations import Suite
from lamina.errors import DefinitionError

SUITES: dict[str, Suite] = {name: events.suite for name, events in EVENT_TOPICS.items()}


def suite_of(topic: str) -> Suite:
    """The suite of `topic`.

    Raises: DefinitionError: when it has none.
    """
    if topic not in SUITES:
        raise DefinitionError(f"no expectation suite for topic {topic!r}; there are {', '.join(SUITES)}")
    return SUITES[topic]

"""Rows at every hop of the way: what went in and what came out, from the first file to the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, predictions_of
from lamina.demo.live import LiveResult
from lamina.demo.sources import History, LiveDay
from lamina.demo.story import Story
from lamina.reporting.results import Hop


def hops(
    story: Story, history: History, day: LiveDay, live: LiveResult, kafka: Mapping[str, int], rows: Callable[[str], int]
) -> list[Hop]:
    """Every hop, in order. `kafka`: messages on each topic; `rows`: how many of a topic were archived for the day."""
    return list(_hops(story, history, day, live, kafka, rows))


def _hops(
    story: Story, history: History, day: LiveDay, live: LiveResult, kafka: Mapping[str, int], rows: Callable[[str], int]
) -> Iterator[Hop]:
    told = history.rows[story.asked.topic]
    read = told + history.rejected
    yield Hop(path="history", name="in the file", rows=read)
    yield Hop(path="history", name="in the lake", expected=read, rows=told, aside=history.rejected)
    for route in story.routes:
        topic, came = route.topic, day.events[route.topic].num_rows
        yield Hop(path=route.name, name="of the live day", rows=came)
        aside = 0
        if route.is_answered:
            yield Hop(path=route.name, name="answered", expected=came, rows=live.answered)
            came, aside = live.answered, kafka[DEAD_LETTERS]
        yield Hop(path=route.name, name="on Kafka", expected=came, rows=kafka[topic])
        yield Hop(path=route.name, name="archived", expected=kafka[topic], rows=rows(topic), aside=aside)
        if route.is_answered:
            path, predictions = f"{story.answer}s", predictions_of(story.system)
            logged = kafka[predictions]
            yield Hop(path=path, name="answered", rows=live.answered)
            yield Hop(path=path, name="on Kafka", expected=live.answered, rows=logged)
            yield Hop(path=path, name="archived", expected=logged, rows=rows(predictions))
    yield Hop(path="tiles", name="updates on Kafka", rows=kafka[FEATURE_TILES], note="absolute, one an event")

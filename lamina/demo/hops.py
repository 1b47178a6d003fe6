"""Rows at every hop of the way: what went in and what came out, from the first file to the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, predictions_of
from lamina.definitions import load
from lamina.demo.live import LiveResult, Route
from lamina.demo.sources import History, LiveDay
from lamina.demo.story import Story
from lamina.reporting.results import Hop
from lamina.semantics.plan import make_plan


def hops(
    story: Story,
    history: History,
    day: LiveDay,
    live: LiveResult,
    kafka: Mapping[str, int],
    rows: Callable[[str], int],
    shadows: int = 0,
) -> list[Hop]:
    """Every hop, in order.

    Args: kafka: messages on each topic; rows: how many of a topic were archived for the day; shadows: how many of what
    lies with the answers is none.
    """
    return list(_hops(story, history, day, live, kafka, rows, shadows))


def _hops(
    story: Story,
    history: History,
    day: LiveDay,
    live: LiveResult,
    kafka: Mapping[str, int],
    rows: Callable[[str], int],
    shadows: int,
) -> Iterator[Hop]:
    told = history.rows[story.asked.topic]
    read = told + history.rejected
    yield Hop(path="history", name="in the file", rows=read)
    yield Hop(path="history", name="in the lake", expected=read, rows=told, aside=history.rejected)
    for topic, routes in story.by_topic.items():
        yield from _posted(routes, day.events[topic].num_rows, day, live, kafka, rows)
        if story.asked in routes:
            path, predictions = f"{story.answer}s", predictions_of(story.system)
            logged = kafka[predictions] - shadows
            yield Hop(path=path, name="answered", rows=live.answered)
            yield Hop(path=path, name="on Kafka", expected=live.answered, rows=logged)
            yield Hop(path=path, name="archived", expected=logged, rows=rows(predictions) - shadows)
    yield Hop(
        path="tiles", name="updates on Kafka", rows=kafka[FEATURE_TILES], note=f"absolute, {_updates(story)} an event"
    )


def _updates(story: Story) -> str:
    """How many tiles an event goes into."""
    most = max(Counter(tile_spec.source for tile_spec in make_plan(load(story.system)).speed).values(), default=0)
    return "one" if most == 1 else f"up to {most}"


def _posted(
    routes: Sequence[Route],
    whole: int,
    day: LiveDay,
    live: LiveResult,
    kafka: Mapping[str, int],
    rows: Callable[[str], int],
) -> Iterator[Hop]:
    """The way of the `whole` events of a topic, through each of its routes; what has one route has one path."""
    topic, path, several = routes[0].topic, routes[0].name, len(routes) > 1
    if several:
        path = topic
        yield Hop(path=path, name="of the live day", rows=whole)
    sent = 0
    for route in routes:
        came = route.of(day.events[topic]).num_rows
        yield Hop(path=route.name, name="of the live day", rows=came)
        if route.is_answered or several:
            name = "answered" if route.is_answered else "accepted"
            yield Hop(path=route.name, name=name, expected=came, rows=live.taken(route))
            came = live.taken(route)
        sent += came
    if several:
        yield Hop(path=path, name="answered or accepted", expected=whole, rows=sent)
    aside = kafka[DEAD_LETTERS] if any(route.is_answered for route in routes) else 0
    yield Hop(path=path, name="on Kafka", expected=sent, rows=kafka[topic])
    yield Hop(path=path, name="archived", expected=kafka[topic], rows=rows(topic), aside=aside)

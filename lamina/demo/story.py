"""What the demo of one system is, as data: a module of `lamina.demo.stories` makes its `Story` from the options."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from lamina.contracts.served import Served
from lamina.demo import stories
from lamina.demo.live import LiveResult, Route
from lamina.demo.sources import LiveDay, Source
from lamina.errors import LaminaError
from lamina.registry.protocol import ModelVersion
from lamina.reporting.page import Page
from lamina.reporting.results import DemoResults, Percentiles
from lamina.scoring.protocol import Scorer, Value
from lamina.settings import Settings
from lamina.worlds.protocol import World


class NoStory(LaminaError):
    """A system that has no demo."""


@dataclass(frozen=True)
class Options:
    """What the demo was asked for: the size of its world, or the folder of third-party files; `scratch` is deleted.

    None leaves it to the story.
    """

    users: int | None
    days: int | None
    data: Path | None
    scratch: Path


@dataclass(frozen=True)
class Run:
    """What is there to look at when everything has run."""

    settings: Settings
    day: LiveDay
    live: LiveResult


Answering = Callable[[Mapping[str, Any], Mapping[str, Value], float], Served]
"""Makes the answer to a request from its event, its features and its score, as the system would have given it."""


@dataclass(frozen=True, kw_only=True)
class SecondAct:
    """How a story goes on: from the day after its live day the world is another, and nobody tells the model.

    Args: world: that of the story up to then, and as it changes, with days beyond those that are told of; changed: what
    is another, in a sentence; positives: ids of the requests of a day, by its number, that are positive; answering:
    given the stack's folder, a loaded model and its version, how the system answers by it; scored: of an answer of the
    API, which version gave which score; days: so many go by until the labels of enough of them are complete, without
    being posted, but for the last.
    """

    world: World
    changed: str
    positives: Callable[[int], frozenset[str]]
    answering: Callable[[Path, Scorer, ModelVersion], Answering]
    scored: Callable[[Mapping[str, Any]], tuple[str | None, float | None]]
    days: int = 14

    def number(self, day: date) -> int:
        """The number of a day in the world."""
        return (day - self.world.start).days


@dataclass(frozen=True, kw_only=True)
class Story:
    """The demo of `system` on `source`.

    Args: answer: the system's word for what the API answers, in the singular; routes: what is posted where, one of
    them answered; prepare: given a folder, variables of the stack beside the usual; trained: metrics of the model by
    the name that the stage shows; facts: the report shows metrics that begin so; target: latency aimed at; tell: the
    results, from those that every system has, and the sections of the page; rate_s: how many requests a second the
    live day is posted with, where nothing else is asked for; second: how it goes on, if it does.
    """

    system: str
    answer: str
    source: Source
    routes: tuple[Route, ...]
    prepare: Callable[[Path], Mapping[str, str]]
    trained: Mapping[str, str]
    facts: str
    target: Percentiles
    tell: Callable[[DemoResults, Run], tuple[DemoResults, Page]]
    rate_s: float = 75
    second: SecondAct | None = None

    @property
    def last_day(self) -> date:
        """The last day that any job is run for."""
        return self.source.live_day + timedelta(days=self.second.days if self.second else 0)

    @property
    def asked(self) -> Route:
        """The route that is answered."""
        return next(route for route in self.routes if route.is_answered)

    @property
    def by_topic(self) -> dict[str, list[Route]]:
        """The routes by the topic of their events, both in the order given."""
        found: dict[str, list[Route]] = {}
        for route in self.routes:
            found.setdefault(route.topic, []).append(route)
        return found


def story_names() -> tuple[str, ...]:
    """Systems that have a demo, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(stories.__path__)))


def load_story(system: str, options: Options) -> Story:
    """The demo of `system`.

    Raises: NoStory: when it has none.
    """
    if system not in story_names():
        raise NoStory(f"no demo of a system {system!r}: SYSTEM is one of {', '.join(story_names())}")
    made: Story = importlib.import_module(f"{stories.__name__}.{system}").story(options)
    return made

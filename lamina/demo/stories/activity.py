"""The demo of activity: what people look at and buy in a simulated shop; of each view, whether a purchase follows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lamina.contracts.activity_answers import PURCHASE
from lamina.definitions.activity import USER_EVENTS
from lamina.demo import collect
from lamina.demo.live import Route
from lamina.demo.sources import WorldSource
from lamina.demo.story import Options, Run, Story
from lamina.errors import LaminaError
from lamina.evaluation.metrics import brier, ranking
from lamina.lake.answers import read_answers
from lamina.reporting.page import Bars, Headline, Lines, Measure, Page, Picture, Section, told_apart
from lamina.reporting.report import figure
from lamina.reporting.results import DemoResults, Part, Percentiles
from lamina.settings import Settings
from lamina.worlds.activity.world import ActivityWorld

SYSTEM = "activity"
SEED, START = 7, date(2026, 1, 5)
SHOPPERS, DAYS = 800, 45
TARGET = Percentiles(name="target", count=0, p50_ms=25, p95_ms=45, p99_ms=65, p999_ms=100)
ROUTES = (
    Route(USER_EVENTS.topic, "/activity/views", "views", True, ("event_type", frozenset({"page_view"}))),
    Route(
        USER_EVENTS.topic,
        "/activity/events",
        "other events",
        only=("event_type", frozenset({"click", "cart", "purchase"})),
    ),
)
BAND_HOURS, FEWEST_VIEWS = 3, 30
SCORES: tuple[tuple[str, str, str], ...] = (
    ("auc", "AUC", "0.5 is guessing, 1 is perfect"),
    ("average_precision", "Average precision", "area under precision over recall"),
    ("brier", "Brier score", "mean squared error of the probability: less is better"),
)

Point = tuple[int, float, float]


class Scores(Part):
    """Quality of probabilities against what followed. None where one kind of views was missing."""

    auc: float | None = None
    average_precision: float | None = None
    brier: float | None = None


class Tested(Part):
    """How well views that are followed by a purchase were told apart; curves are points (x, y) in order of x."""

    protocol: str
    rows: int = Field(ge=0)
    followed: int = Field(ge=0)
    scores: Scores
    precision_recall: list[tuple[float, float]] = Field(description="(recall, precision)")
    roc: list[tuple[float, float]] = Field(description="(false positive rate, recall)")


class Views(Part):
    """Views of the live day that got a prediction, and what followed within a day, by what the world knows.

    `asked` are all views of the day; the others were answered without the model.
    `best` are the scores of the chances that the world drew with. Points are (number, predicted on average, share that
    was followed): by tenth of the views, from the least to the most likely, and by the first hour of some hours.
    """

    asked: int = Field(ge=0)
    views: int = Field(ge=0)
    followed: int = Field(ge=0)
    predicted: float = Field(ge=0, description="Purchases, by the sum of the predictions.")
    scores: Scores
    best: Scores
    by_tenth: list[Point]
    by_hour: list[Point]
    events: dict[str, int] = Field(description="All events of the day by type.")


class ActivityResults(DemoResults):
    """What a run of this demo found out."""

    test: Tested | None = None
    views: Views | None = None


def story(options: Options) -> Story:
    """The demo on the simulated world.

    Raises: LaminaError: when a folder of third-party files is given: there are none to read.
    """
    if options.data is not None:
        raise LaminaError(f"the demo of {SYSTEM} reads no files of others: leave DATA empty")
    shoppers, days = options.users or SHOPPERS, options.days or DAYS
    world = ActivityWorld(seed=SEED, shoppers=shoppers, days=days, start=START)
    source = WorldSource(world, f"activity world, seed {SEED}: {shoppers:,} shoppers, {days} days")
    return Story(
        system=SYSTEM,
        answer="prediction",
        source=source,
        routes=ROUTES,
        prepare=lambda folder: {},
        trained={"auc": "auc", "ap": "average_precision"},
        facts="brier",
        target=TARGET,
        tell=partial(_tell, world=world, day=source.training_date),
    )


def _tell(common: DemoResults, run: Run, *, world: ActivityWorld, day: date) -> tuple[ActivityResults, Page]:
    answered = read_answers(run.settings.lake_url, SYSTEM, ("event_id", "outputs"), days=[run.day.day])
    chances = world.chances(world.days - 1)
    views = told_of(predictions(answered.to_pylist()), run.day.truth, chances, run.day.events[USER_EVENTS.topic])
    found = ActivityResults(
        **{
            **dict(common),
            "test": tested(run.settings, day),
            "views": views,
            "remarks": [remark(views), *common.remarks],
        }
    )
    return found, page(found)


def predictions(answered: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """What was predicted of each view, by the id of its event; nothing of those that no model answered."""
    found = {row["event_id"]: json.loads(row["outputs"]) for row in answered}
    return {event: float(outputs[PURCHASE]) for event, outputs in found.items() if PURCHASE in outputs}


def tested(settings: Settings, day: date) -> Tested:
    """The test figures and curves of the version trained for `day`."""
    evaluation, run_id = collect.evaluated(settings, SYSTEM, day)
    curves, metrics = collect.curves(settings, run_id), collect.figures(evaluation)
    return Tested(
        protocol=f"Trained for {day}: days after those that the model learned from",
        rows=evaluation.rows,
        followed=evaluation.positives,
        scores=Scores(**{name: metrics.get(name) for name in Scores.model_fields}),
        precision_recall=curves["pr"],
        roc=curves["roc"],
    )


def told_of(predicted: Mapping[str, float], truth: pa.Table, chances: pa.Table, events: pa.Table) -> Views:
    """Predictions by event id against what followed each view (`truth`) and its `chances`, in the same order."""
    ids = truth["event_id"].to_pylist()
    answered = np.array([i in predicted for i in ids], dtype=bool)
    score = np.array([predicted[i] for i in ids if i in predicted])
    followed = truth["purchase"].to_numpy()[answered]
    at = dict(zip(events["event_id"].to_pylist(), events["timestamp"].to_pylist(), strict=True))
    hour = np.array([at[i] // 3_600_000 % 24 for i in ids if i in predicted], dtype=np.int64)
    tenth = np.empty(len(score), dtype=np.int64)
    tenth[np.argsort(score, kind="stable")] = 1 + np.arange(len(score)) * 10 // max(len(score), 1)
    return Views(
        asked=len(ids),
        views=len(score),
        followed=int(followed.sum()),
        predicted=float(score.sum()),
        scores=scores_of(followed, score),
        best=scores_of(followed, chances["chance"].to_numpy()[answered].astype(np.float64)),
        by_tenth=_points(tenth, score, followed),
        by_hour=_points(hour // BAND_HOURS * BAND_HOURS, score, followed),
        events=dict(Counter(events["event_type"].to_pylist()).most_common()),
    )


def scores_of(followed: NDArray[np.bool_], score: NDArray[np.float64]) -> Scores:
    """The scores of probabilities, where some views were followed and some were not."""
    if not len(followed) or followed.all() or not followed.any():
        return Scores()
    found = ranking(followed, score)
    return Scores(auc=found["auc"], average_precision=found["average_precision"], brier=brier(followed, score))


def _points(group: NDArray[np.int64], score: NDArray[np.float64], followed: NDArray[np.bool_]) -> list[Point]:
    members = {int(g): group == g for g in np.unique(group)}
    return [
        (g, float(score[own].mean()), float(followed[own].mean()))
        for g, own in members.items()
        if own.sum() >= FEWEST_VIEWS
    ]


def remark(found: Views) -> str:
    """What came of the live day's views, and how well it was foretold."""
    without = found.asked - found.views
    others = f" {without:,} others were answered by a fallback, without the model." if without else ""
    return (
        f"Of {found.views:,} views of the live day {found.followed:,} were followed by a purchase of the item within "
        f"a day; the predictions add up to {found.predicted:.1f}.{others}"
    )


def page(results: ActivityResults) -> Page:
    """What the page has beside the sections of every system."""
    return Page("prediction", (_tested(results.test), _lived(results.views)))


def _measures(ours: Scores, best: Scores | None = None) -> tuple[Measure, ...]:
    def beside(k: str) -> str:
        return "" if best is None else f"; the world's own chances: {figure(getattr(best, k))}"

    return tuple(Measure(label, note + beside(k), getattr(ours, k)) for k, label, note in SCORES)


def _tested(found: Tested | None) -> Section:
    title = "Which views are followed by a purchase"
    if found is None:
        return Section(title)
    share = found.followed / found.rows if found.rows else 0.0
    return Section(
        title,
        note=f"{found.protocol}. {figure(found.rows)} views, {figure(found.followed)} followed within a day.",
        measures=_measures(found.scores),
        pictures=told_apart(found.precision_recall, found.roc, share, is_rare=False),
        headline=Headline("AUC", figure(found.scores.auc), f"{figure(found.rows)} test views"),
    )


def _lived(found: Views | None) -> Section:
    title = "The live day: predicted and bought"
    if found is None:
        return Section(title)
    return Section(
        title,
        note=f"{figure(found.views)} of {figure(found.asked)} views were answered by the model. The chances that the "
        "world drew with know tastes, prices and whims that no feature sees.",
        measures=_measures(found.scores, found.best),
        pictures=(
            *_groups(found),
            Picture(Bars("events", "Events of the day by type", found.events), "From a look to a purchase"),
        ),
    )


def _groups(found: Views) -> Iterator[Picture]:
    """Predicted and bought by groups of views, where there are enough of them."""
    if found.by_tenth:
        yield Picture(
            _lines("tenths", "tenth of the views, the most likely last", found.by_tenth),
            "By prediction",
            "Where the lines meet, a probability is what it says. "
            f"A tenth has {found.followed / 10:.0f} purchases: chance has its say.",
        )
    if found.by_hour:
        yield Picture(
            _lines("hours", f"hour of the day, UTC, in steps of {BAND_HOURS}", found.by_hour),
            "By hour",
            f"Hours with fewer than {FEWEST_VIEWS} views are left out.",
        )


def _lines(name: str, across: str, points: Sequence[Point]) -> Lines:
    lines = {"predicted": [(g, p) for g, p, _ in points], "bought": [(g, b) for g, _, b in points]}
    return Lines(name, f"Predicted and bought by {name}", across, "share of views", lines)

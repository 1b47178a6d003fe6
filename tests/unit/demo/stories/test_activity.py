"""The demo of activity posts every event of its day once, and tells predictions as they came true."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lamina.definitions.activity import USER_EVENTS
from lamina.demo import collect
from lamina.demo.live import LiveResult
from lamina.demo.stories import activity
from lamina.demo.stories.activity import ActivityResults, predictions, story
from lamina.demo.story import Options, Run, Story
from lamina.errors import LaminaError
from lamina.reporting.page import Page
from lamina.reporting.report import headlines, render
from lamina.reporting.results import DemoResults, Environment
from lamina.settings import load_settings

METRICS = {"auc": 0.77, "average_precision": 0.15, "brier": 0.03}
Served = list[dict[str, object]]
Tell = Callable[[Served], tuple[DemoResults, Page]]


def options(folder: Path, data: Path | None = None) -> Options:
    return Options(users=400, days=32, data=data, scratch=folder)


def rows(story: Story, score: Callable[[str], float]) -> Served:
    """The log of what was served: every view with its score."""
    ids = story.source.live().truth["event_id"].to_pylist()
    return [{"event_id": event, "outputs": json.dumps({"purchase": score(event)})} for event in ids]


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tell:
    """What the story says when this was served."""

    def told(served: Served) -> tuple[DemoResults, Page]:
        made = story(options(tmp_path))
        candidate = SimpleNamespace(version="1", metrics=METRICS)
        evaluation = SimpleNamespace(rows=900, positives=30, candidate=candidate)
        columns = {name: [row[name] for row in served] for name in ("event_id", "outputs")}
        monkeypatch.setattr(activity, "read_answers", lambda *_, **__: pa.table(columns))
        monkeypatch.setattr(collect, "evaluated", lambda *_: (evaluation, "run"))
        monkeypatch.setattr(
            collect, "curves", lambda *_: {"pr": [(0.0, 1.0), (1.0, 0.03)], "roc": [(0.0, 0.0), (1.0, 1.0)]}
        )
        common = DemoResults(
            input_name=made.source.name,
            system="activity",
            started_at=datetime.now(tz=UTC),
            seconds=1,
            stages=[],
            hops=[],
            environment=Environment(machine="Linux", cores=2, memory_gib=8, commit="abc", versions={}),
        )
        return made.tell(common, Run(load_settings(), made.source.live(), LiveResult()))

    return told


def test_every_event_of_the_day_goes_one_way(tmp_path: Path) -> None:
    made = story(options(tmp_path))
    events = made.source.live().events[USER_EVENTS.topic]
    views, others = (route.of(events) for route in made.routes)
    assert views.num_rows + others.num_rows == events.num_rows
    assert set(views["event_type"].to_pylist()) == {"page_view"}
    assert made.asked.path == "/activity/views"
    assert set(views["event_id"].to_pylist()) == set(made.source.live().truth["event_id"].to_pylist())


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LaminaError, match="leave DATA empty"):
        story(options(tmp_path, tmp_path))


def test_what_is_predicted_is_held_against_what_followed(tell: Tell, tmp_path: Path) -> None:
    made = story(options(tmp_path))
    truth = made.source.live().truth
    followed = dict(zip(truth["event_id"].to_pylist(), truth["purchase"].to_pylist(), strict=True))
    found, _ = tell(rows(made, lambda event: 0.9 if followed[event] else 0.1))
    assert isinstance(found, ActivityResults)
    assert found.test and found.views
    assert (found.test.rows, found.test.followed, found.test.scores.auc) == (900, 30, 0.77)
    views = found.views
    assert (views.views, views.followed) == (truth.num_rows, pc.sum(truth["purchase"]).as_py())
    assert views.predicted == pytest.approx(0.9 * views.followed + 0.1 * (views.views - views.followed))
    assert views.scores.auc == 1.0
    assert views.scores.brier == pytest.approx(0.01)
    assert views.best.auc and 0.7 < views.best.auc < 1
    tenths = {tenth: (predicted, bought) for tenth, predicted, bought in views.by_tenth}
    assert list(tenths) == list(range(1, 11))
    assert tenths[1] == pytest.approx((0.1, 0.0))
    assert tenths[10][1] == max(bought for _, bought in tenths.values()) > 0.1
    assert all(hour % 3 == 0 for hour, _, _ in views.by_hour)
    assert sum(views.events.values()) == made.source.live().events[USER_EVENTS.topic].num_rows
    assert found.remarks[0].startswith(f"Of {views.views:,} views of the live day {views.followed:,} were followed")


def test_the_page_shows_both(tell: Tell, tmp_path: Path) -> None:
    found, page = tell(rows(story(options(tmp_path)), lambda event: 0.03))
    html = render(found, page)
    for part in ("Activity predictions on activity world", "own chances", "Brier score", "From a look to a purchase"):
        assert part in html
    assert "AUC" in [headline.label for headline in headlines(found, page)]
    assert "decision" not in html


def test_a_view_without_a_model_counts_as_unanswered(
    tell: Tell,
) -> None:
    assert predictions([{"event_id": "e", "outputs": "{}"}]) == {}
    found, _ = tell([])
    assert isinstance(found, ActivityResults)
    assert found.views and (found.views.views, found.views.scores.auc, found.views.by_tenth) == (0, None, [])


def test_views_that_no_model_answered_are_told(tell: Tell, tmp_path: Path) -> None:
    served = rows(story(options(tmp_path)), lambda event: 0.03)
    found, page = tell([*served[:10], *({**row, "outputs": "{}"} for row in served[10:])])
    assert isinstance(found, ActivityResults)
    assert found.views and (found.views.views, found.views.asked) == (10, len(served))
    assert f" {len(served) - 10:,} others were answered by a fallback" in found.remarks[0]
    html = render(found, page)
    assert f"10 of {len(served):,} views were answered by the model" in html
    # Too few for a chart of groups.
    assert "By prediction" not in html and "From a look to a purchase" in html
    every, _ = tell(served)
    assert "fallback" not in every.remarks[0]

"""No job and no command takes a day that is not over: it would be served as if it were complete."""

from __future__ import annotations

import importlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from jobs.spark import archive_events, publish
from lamina.clock import midnight_ms
from lamina.commands.features import app
from lamina.definitions import load
from lamina.errors import DayNotOver
from lamina.features.built import tiles_url
from lamina.orchestration.jobs import JOBS
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT, load_settings

PLAN = make_plan(load("fraud"))
TOMORROW = date(2018, 8, 15)
OF_TOPICS = ["--topic", "transactions"]
OF_FRAUD = ["--system", "fraud"]
ARGUMENTS = {
    "archive_day": OF_TOPICS,
    "archive_events": OF_TOPICS,
    "quality": OF_TOPICS,
    "extract_data": [*OF_FRAUD, "--first-day", "2018-08-01", "--last-day", "2018-08-10"],
}
BY_HAND = {"archive_events", "fill", "quality", "score", "take_back"}
DATED = sorted({job.name for job in JOBS} - {"backfill"} | BY_HAND)


def no_session(*_: object, **__: object) -> Any:
    raise AssertionError("no session is to be started")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path / "stack"))
    monkeypatch.setenv("LAMINA_LAKE_URL", str(tmp_path / "lake"))
    monkeypatch.setenv("LAMINA_CLOCK_AT", "2018-08-14T23:59:59Z")
    monkeypatch.setattr("jobs.spark.session.make_session", no_session)
    return tmp_path / "lake"


def run(module: str, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(importlib.import_module(module).main)
    return CliRunner().invoke(app, arguments)


def test_every_job_with_a_date_is_here() -> None:
    found = {f.stem for f in (ROOT / "jobs" / "spark").glob("*.py") if "day: LogicalDate" in f.read_text()}
    assert found == set(DATED)


@pytest.mark.parametrize("job", DATED)
@pytest.mark.parametrize("day", ["2018-08-14", "2018-08-15", "2099-01-01", "9999-12-31"])
def test_a_job_refuses_a_day_that_is_not_over(lake: Path, job: str, day: str) -> None:
    done = run(f"jobs.spark.{job}", "--date", day, *ARGUMENTS.get(job, OF_FRAUD))
    assert isinstance(done.exception, DayNotOver), done.output
    assert "LAMINA_CLOCK_AT" in str(done.exception)
    assert not lake.exists()


@pytest.mark.parametrize("module", ["models.fraud.train", "models.fraud.evaluate", "lamina.registry.deploy"])
def test_a_model_is_not_made_of_a_day_that_is_not_over(lake: Path, module: str) -> None:
    options = ["--system", "fraud"] if module == "lamina.registry.deploy" else []
    assert isinstance(run(module, "--date", "2018-08-14", *options).exception, DayNotOver)


def test_a_backfill_refuses_a_range_that_ends_with_one(lake: Path) -> None:
    done = run("jobs.spark.backfill", "--from", "2018-08-01", "--to", "2018-08-14", *OF_FRAUD)
    assert isinstance(done.exception, DayNotOver)


def test_what_the_jobs_are_made_of_refuses_it_too(lake: Path) -> None:
    with pytest.raises(DayNotOver):
        archive_events.archive(no_session, load_settings(), "transactions", TOMORROW)
    with pytest.raises(DayNotOver):
        publish.publish(no_session, str(lake), PLAN, TOMORROW, "", clock=lambda: midnight_ms(TOMORROW))
    with pytest.raises(DayNotOver):
        publish.publish(no_session, str(lake), PLAN, date(2099, 1, 1), "")


def test_a_rebuild_of_one_says_how_to_take_it_back(lake: Path) -> None:
    for tile_spec in PLAN.tile_specs:
        Path(tiles_url(str(lake), tile_spec, date(2018, 8, 16))).mkdir(parents=True)
    done = CliRunner().invoke(app, ["rebuild", *OF_FRAUD])
    assert isinstance(done.exception, DayNotOver)
    assert "lamina features take-back --system fraud --through D" in str(done.exception)

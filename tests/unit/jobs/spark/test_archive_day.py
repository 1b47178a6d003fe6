"""What becomes of one topic is no other's business."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.spark import archive_day as job
from lamina.errors import ArchiveFailed, OffsetsLost, QualityGateFailed, StreamError
from lamina.quality.standing import standing
from lamina.settings import Settings, load_settings

DAY = date(2018, 8, 8)
TOPICS = ("fraud-labels", "predictions-fraud", "transactions", "user-events")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(lake_url=str(tmp_path / "lake"))


def steps(monkeypatch: pytest.MonkeyPatch, archive: dict[str, Exception], check: dict[str, Exception]) -> list[str]:
    done: list[str] = []

    def step(name: str, problems: dict[str, Exception]) -> Any:
        def do(spark: object, settings: Settings, topic: str, day: date, **options: object) -> dict[str, Any]:
            done.append(f"{name} {topic}")
            if topic in problems:
                raise problems[topic]
            if name == "check":
                assert options["run"] == f"run of {topic}", "the gate looks at what was archived here, at nothing else"
            return {"job": name, "topic": topic, "run": f"run of {topic}"}

        return do

    monkeypatch.setattr(job, "archive", step("archive", archive))
    monkeypatch.setattr(job, "check", step("check", check))
    return done


def no_session() -> Any:
    raise AssertionError("no session is asked for before there is anything to read")


def test_a_topic_is_held_to_its_suite_right_after_its_archive(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    done = steps(monkeypatch, {}, {})
    job.archive_day(no_session, settings, TOPICS[:2], DAY, tell=told.append)
    assert done == [f"{step} {topic}" for topic in TOPICS[:2] for step in ("archive", "check")]
    assert [counts["job"] for counts in told] == ["archive", "check"] * 2


def test_others_go_on_and_everything_that_went_wrong_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = {"fraud-labels": OffsetsLost("messages are gone"), "predictions-fraud": ValueError("a fault\nat length")}
    done = steps(monkeypatch, archive, {"transactions": QualityGateFailed("transactions: 2 expectations failed")})
    with pytest.raises(ArchiveFailed) as failure:
        job.archive_day(no_session, settings, TOPICS, DAY)
    assert done == [
        "archive fraud-labels",
        "archive predictions-fraud",
        "archive transactions",
        "check transactions",
        "archive user-events",
        "check user-events",
    ]
    assert str(failure.value).splitlines() == [
        "2018-08-08: 3 of 4 topics hold up the systems that read them; all others are done.",
        "fraud-labels was not archived: messages are gone",
        "predictions-fraud was not archived: ValueError: a fault: see the log of the job",
        "transactions: 2 expectations failed",
    ]
    assert "Traceback" in capsys.readouterr().err
    lost, fault = (standing(settings.lake_url, topic, DAY) for topic in TOPICS[:2])
    assert (lost.problem, lost.is_final) == ("messages are gone", True)
    assert not fault.is_final, "what nobody foresaw may pass"


def test_a_gate_that_cannot_be_run_is_no_verdict(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, {}, {"transactions": StreamError("no answer")})
    with pytest.raises(ArchiveFailed, match="the quality gate of transactions could not be run: no answer"):
        job.archive_day(no_session, settings, TOPICS, DAY)
    assert not standing(settings.lake_url, "transactions", DAY).passed

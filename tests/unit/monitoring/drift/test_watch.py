"""The report of an hour from a lake: what is compared with what, what is told, and the same again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from lamina.cli import app
from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.definitions import record
from lamina.lake import layout
from lamina.lake.joined import ASSUMED
from lamina.monitoring.drift import with_page
from lamina.monitoring.drift.columns import Sway
from lamina.monitoring.drift.decide import decided
from lamina.monitoring.drift.findings import Finding, Kind, State
from lamina.monitoring.drift.reference import REFERENCE_FILE, load_reference, make_reference
from lamina.monitoring.drift.report import PAGE, DriftReport
from lamina.monitoring.drift.watch import compare_served, served_in, since_ms, weekly_features
from lamina.monitoring.exported import Exported
from lamina.monitoring.hours import HOUR_MS
from lamina.monitoring.reports import Window, newest
from lamina.registry import mlflow
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, RegistryError, TrainingRun
from tests.unit.monitoring.drift.answers import answer, put
from tests.unit.monitoring.joined import BEGIN_MS, calibrated, table

WATCHING = record("fraud").watching
END = date(2018, 8, 22)
END_MS = midnight_ms(END)
AT = "2018-08-21T23"
A_DAY = 720
KINDS = np.array(["web", "shop"], object)


def register(registry: MemoryRegistry, folder: Path, reference: str | None) -> None:
    (folder / MODEL_FOLDER).mkdir(parents=True)
    (folder / MODEL_FOLDER / "spec.json").write_text("{}")
    if reference is not None:
        (folder / REFERENCE_FILE).write_text(reference)
    registry.register("fraud", registry.record(TrainingRun("fraud", END, folder)), {})


@pytest.fixture(scope="module")
def reference() -> str:
    """Of payments of whom a seventh or two are at the weekend, and of 12 % frauds that the scores mean."""
    rng = np.random.default_rng(11)
    rows = [r for r in calibrated(6_000, days=6)]
    positive, score = np.array([r["label"] == 1 for r in rows]), np.array([r["score"] for r in rows])
    features = {
        "amount": rng.normal(50, 10, 6_000),
        "weekend": (rng.random(6_000) < 2 / 7).astype(np.float64),
        "merchant_category": rng.choice(KINDS, 6_000),
    }
    return make_reference(
        features,
        day=np.arange(6_000) // 1_000,
        positive=positive,
        weight=np.ones(6_000),
        test_features=features,
        test_day=np.arange(6_000) // 3_000,
        test_score=score,
        test_positive=positive,
        test_unit=np.arange(6_000),
    ).dump()


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The columns of each page that was written; Evidently, which takes seconds, is not asked for it."""
    found: list[list[str]] = []

    def write(file: Path, before: Mapping[str, object], now: Mapping[str, object]) -> None:
        found.append(sorted(now))
        file.write_text("a page")

    monkeypatch.setattr(with_page, "write_page", write)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, float, str], Path]:
    """Lakes with a week of answers, and four weeks of joined rows of version 3; each is made once."""

    @cache
    def make(shift: float, quality: float, version: str) -> Path:
        lake, rng = tmp_path_factory.mktemp("lake"), np.random.default_rng(12)
        scores = np.array([r["score"] for r in calibrated(A_DAY, seed=5)])
        for n in range(7):
            day = day_of(END_MS - (n + 1) * DAY_MS)
            at = midnight_ms(day) + np.arange(A_DAY) * (DAY_MS // A_DAY)
            rows = [
                answer(
                    n * A_DAY + i,
                    int(at[i]),
                    {
                        "amount": float(rng.normal(50, 10)) + (shift if n == 0 else 0.0),
                        "weekend": float(day.weekday() >= 5),
                        "merchant_category": str(rng.choice(KINDS)),
                    },
                    float(scores[i]),
                    version,
                )
                for i in range(A_DAY)
            ]
            put(lake, day, rows)
        joined = calibrated(5_000, days=7, seed=3, quality=quality)
        for day in {day_of(row["timestamp"]) for row in joined}:
            folder = Path(layout.joined(str(lake), "fraud", day))
            folder.mkdir(parents=True)
            pq.write_table(table([r for r in joined if day_of(r["timestamp"]) == day]), folder / "part-0.parquet")
        return lake

    return make


@pytest.fixture
def lake(
    made: Callable[[float, float, str], Path], reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """A copy of one of these lakes, and four versions, of whom the last has no reference."""
    registry = MemoryRegistry(tmp_path / "registry")
    monkeypatch.setattr(mlflow, "MlflowRegistry", lambda uri: registry)
    for n in range(1, 5):
        register(registry, tmp_path / f"run-{n}", reference if n != 4 else None)

    def copy(*, shift: float = 0.0, quality: float = 2.0, version: str = "3") -> str:
        return str(shutil.copytree(made(shift, quality, version), tmp_path / "lake"))

    return copy


def run(lake: str, *arguments: str) -> Any:
    command = ["monitor", "drift", "--system", "fraud", "--at", AT, *arguments]
    return CliRunner(env={"LAMINA_LAKE_URL": lake}).invoke(app, command, catch_exceptions=False)


def reported(lake: str) -> DriftReport:
    found = newest(lake, "fraud", "drift", DriftReport)
    assert found is not None
    return found


def file_of(lake: str) -> Path:
    return Path(layout.monitoring(lake, "fraud", "drift", datetime(2018, 8, 21, 23, tzinfo=UTC)), "report.json")


def states(report: DriftReport) -> dict[tuple[str, str], State]:
    return {(f.subject, f.statistic): f.state for f in report.findings}


def test_what_is_as_in_training_is_no_drift_and_is_compared_all_the_same(lake: Callable[..., str]) -> None:
    where = lake()
    done = run(where)
    report = reported(where)
    assert done.exit_code == 0 and report.alerts == () and report.model_version == "3" and report.no_verdict == ""
    assert set(states(report).values()) == {State.STABLE}
    assert {f.kind for f in report.findings} == set(Kind)
    # A Tuesday alone has no weekend: it is the week that is compared.
    weekend = next(f for f in report.findings if (f.subject, f.statistic) == ("weekend", "ks"))
    assert weekend.rows == 7 * A_DAY and weekend.effect is not None and weekend.effect < 0.02
    amount = next(f for f in report.findings if (f.subject, f.statistic) == ("amount", "ks"))
    assert amount.rows == A_DAY


def test_a_shift_of_a_feature_is_told_and_the_same_question_gives_the_same_bytes(
    lake: Callable[..., str], pages: list[list[str]]
) -> None:
    where = lake(shift=5.0)
    assert "amount: ks" in run(where).output
    report = reported(where)
    assert [(a.name, a.subject, a.severity) for a in report.alerts] == [("covariate_drift", "amount", "warning")]
    assert report.alerts[0].since_ms == report.window.start_ms
    assert report.page is not None and report.page.endswith(f"/{PAGE}")
    assert pages == [["amount", "merchant_category", "score", "weekend"]]
    shown = file_of(where).with_name("report.html").read_text()
    assert report.page in shown and "covariate: amount" in shown and "drifted, warning" in shown
    before = file_of(where).read_bytes()
    run(where)
    assert file_of(where).read_bytes() == before
    run(where, "--known-at", "2018-08-21T12:00:00")
    assert file_of(where).read_bytes() != before
    run(where, "--known-at", "2018-08-22T00:00:00")
    assert file_of(where).read_bytes() == before


def test_a_swaying_feature_is_compared_with_the_day_before(lake: Callable[..., str], reference: str) -> None:
    known, weekly = load_reference(reference, "reference.json"), weekly_features(record("fraud").features)
    hours = served_in(lake(shift=5.0), record("fraud"), known, END_MS, END_MS)
    day_before = next(i for i, hour in enumerate(hours) if hour.at_ms == END_MS - 2 * DAY_MS)
    for change, lost, state in (
        (0.02, 0, State.DRIFTED),
        (0.15, 0, State.STABLE),  # it jumps by itself
        (0.02, 1, State.STABLE),  # a part of a day is no day
    ):
        swaying = replace(known, sway={"amount": Sway(0.2, 0.0, change)})
        there = hours[:day_before] + hours[day_before + lost :]
        found = decided(compare_served(swaying, there, "3", weekly, END_MS, WATCHING), 0.01)
        (amount,) = (f for f in found if (f.subject, f.statistic) == ("amount", "ks"))
        assert amount.effect == pytest.approx(0.2, abs=0.05) and amount.state is state
        assert amount.threshold == (0.1 if state is State.DRIFTED else 0.4) and amount.rows == A_DAY
        (weekend,) = (f for f in found if (f.subject, f.statistic) == ("weekend", "ks"))
        assert weekend.rows == 7 * A_DAY - 30 * lost


@pytest.mark.parametrize("broken", ["write_page", "attach"])
def test_what_drifted_is_told_where_its_page_cannot_be_made(
    lake: Callable[..., str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(with_page if broken == "write_page" else MemoryRegistry, broken, fail)
    where = lake(shift=5.0)
    done = run(where)
    assert done.exit_code == 0 and done.output.count("amount: ks") == 1
    report = reported(where)
    assert [a.name for a in report.alerts] == ["covariate_drift"] and report.page is None
    assert "no page of what drifted of fraud version 3" in caplog.text and "no space" in caplog.text


def test_a_report_is_there_before_its_page_is_made(lake: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(with_page, "write_page", killed)
    where = lake(shift=5.0)
    run(where)
    assert [a.name for a in reported(where).alerts] == ["covariate_drift"]


def test_a_model_that_ranks_worse_is_told(lake: Callable[..., str]) -> None:
    where = lake(quality=0.2)
    run(where)
    (alert,) = reported(where).alerts
    labels = reported(where).labels
    assert labels is not None
    assert (alert.name, alert.since_ms) == ("concept_drift", labels.end_ms - WATCHING.days * DAY_MS)


@pytest.mark.parametrize(
    ("kind", "subject", "days"),
    [
        (Kind.COVARIATE, "amount", 1),
        (Kind.COVARIATE, "weekend", 7),
        (Kind.PREDICTION, "score", 1),
        (Kind.PRIOR, "label", 7 + WATCHING.label_days),
        (Kind.CONCEPT, "label", 7 + WATCHING.days),
    ],
)
def test_a_finding_is_as_old_as_the_rows_that_it_is_of(kind: Kind, subject: str, days: int) -> None:
    finding = Finding(kind=kind, subject=subject, statistic="s", threshold=0.1, reference_rows=1, rows=1)
    complete = END_MS - 7 * DAY_MS
    window = Window(start_ms=END_MS - DAY_MS, end_ms=END_MS)
    labels = Window(start_ms=complete - WATCHING.label_days * DAY_MS, end_ms=complete)
    assert since_ms(finding, window, labels, frozenset({"weekend"}), WATCHING) == END_MS - days * DAY_MS


def test_a_request_id_of_two_answers_does_not_stop_the_report(lake: Callable[..., str]) -> None:
    where = lake()
    file = next(Path(layout.joined_of(where, "fraud")).rglob("*.parquet"))
    rows = pq.read_table(file).to_pylist()
    fraud = next(r for r in rows if r["label"])
    rows.append({**fraud, "event_id": "another", "label": 0.0, "label_timestamp": None, "label_status": ASSUMED})
    pq.write_table(table(rows), file)
    assert run(where).exit_code == 0
    assert reported(where).no_verdict == ""


def test_a_registry_that_does_not_answer_is_an_error_and_leaves_the_report_as_it_was(
    lake: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = lake(shift=5.0)
    run(where)
    before = file_of(where).read_bytes()

    def away(*_: object) -> str:
        raise RegistryError("MLflow is away")

    monkeypatch.setattr(MemoryRegistry, "read", away)
    with pytest.raises(RegistryError, match="away"):
        run(where)
    assert file_of(where).read_bytes() == before


@pytest.mark.parametrize(("version", "note"), [("4", "no reference: 'fraud' version 4 has no"), ("9", "no reference")])
def test_without_a_reference_the_report_says_so(lake: Callable[..., str], version: str, note: str) -> None:
    where = lake(version=version)
    assert run(where).exit_code == 0
    report = reported(where)
    assert report.no_verdict.startswith(note) and report.findings == ()
    assert note.replace("'", "&#39;") in file_of(where).with_name("report.html").read_text()


def test_an_empty_lake_gives_a_report_that_says_so(lake: Callable[..., str], tmp_path: Path) -> None:
    empty = str(tmp_path / "empty")
    assert run(empty).exit_code == 0
    assert reported(empty).no_verdict == "no model gave an answer in the window"


def test_gauges_show_the_newest_report(lake: Callable[..., str]) -> None:
    where = lake(shift=1.0)
    run(where)
    Exported(where).show("fraud")
    found = {f.subject: f for f in reported(where).findings if f.statistic in ("ks", "jensen_shannon")}
    of = {"system": "fraud", "feature_name": "amount"}
    assert REGISTRY.get_sample_value("feature_drift_score", of) == found["amount"].effect
    assert REGISTRY.get_sample_value("feature_drift_p_value", of) == found["amount"].adjusted
    for kind in ("prediction", "prior", "concept"):
        assert REGISTRY.get_sample_value("model_drift_score", {"system": "fraud", "kind": kind}) is not None


def test_the_report_is_plain_json(lake: Callable[..., str]) -> None:
    where = lake()
    run(where)
    found = json.loads(file_of(where).read_text())
    assert {"system", "known_before_ms", "window", "alerts", "findings", "labels"} <= set(found)
    assert found["window"] == {"start_ms": END_MS - 24 * HOUR_MS, "end_ms": END_MS}
    assert BEGIN_MS > found["labels"]["start_ms"]

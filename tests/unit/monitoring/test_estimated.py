"""Estimates of answers without labels, learnt from what was known then, and held against the truth once it is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamina.clock import DAY_MS
from lamina.definitions import record
from lamina.monitoring.estimated import estimated, times_to_read
from lamina.monitoring.forms import EstimatedPart, EstimatedReport
from lamina.monitoring.rows import COLUMNS, Answers
from tests.unit.monitoring.joined import BEGIN_MS, DELAY_MS, calibrated, joined_again, said, table, waiting

FRAUD = record("fraud")
END_MS = BEGIN_MS + 21 * DAY_MS
"""Three weeks after the first row: two weeks have complete labels."""


def weeks(n: int = 3, rows: int = 1400, **given: Any) -> list[list[dict[str, Any]]]:
    """Weeks of rows as the lake has them at the end of the last: the last seven days wait, but for reported frauds."""
    found = []
    for week in range(n):
        own = calibrated(rows, seed=week, first=week * rows, **given)
        for r in own:
            r["timestamp"] += week * 7 * DAY_MS
            if r["label"]:
                r["label_timestamp"] += week * 7 * DAY_MS
            elif r["timestamp"] >= END_MS - DELAY_MS:
                r |= waiting()
        found.append(own)
    return found


def report(
    rows: list[dict[str, Any]], *, end: int = END_MS, known: int | None = None, **watching: Any
) -> EstimatedReport:
    system = replace(FRAUD, watching=replace(FRAUD.watching, **watching))
    return estimated(system, table(rows), end_ms=end, known_before_ms=known or end)


def recent(found: EstimatedReport, version: str = "3") -> EstimatedPart:
    (part,) = [part for part in found.parts if part.day is None and part.model_version == version]
    return part


def test_answers_without_labels_are_estimated_and_the_truth_is_in_the_band() -> None:
    first, second, third = weeks()
    truth = [r["label"] == 1 for r in third]
    found = report(first + second + third)
    part = recent(found)
    assert (part.rows, part.no_verdict) == (1400, "") and part.reference_rows == 2800
    assert set(part.figures) == {"auc", "average_precision", "f1", "precision", "recall", "accuracy"}
    flagged = np.array([r["action"] == "review" for r in third])
    for name, value in (("precision", np.mean(np.array(truth)[flagged])), ("recall", flagged[np.array(truth)].mean())):
        assert part.figures[name].low < value < part.figures[name].high
    assert not found.alerts


def test_an_estimate_is_held_against_the_truth_it_did_not_know() -> None:
    first, second, third = weeks()
    found = report(first + second + third)
    days = {part.day: part for part in found.parts if part.day}
    # By the 14th August nothing of the first week was complete: nobody could say what scores mean.
    assert days["2018-08-13"].no_verdict and not days["2018-08-13"].error
    done = days["2018-08-20"]
    # At the end of the 20th the week before was known, up to the 13th.
    assert done.reference_rows == 1400
    for name in ("auc", "recall", "accuracy"):
        assert (
            done.error[name] == pytest.approx(done.figures[name].value - done.realised[name]) and done.error[name] != 0
        )
    assert not days["2018-08-22"].realised, "its labels are not complete"
    own = [abs(part.error["auc"]) for part in days.values() if part.error]
    assert found.mean_error["3"]["auc"] == pytest.approx(np.mean(own)) and found.mean_error["3"]["auc"] < 0.06


def test_the_error_of_a_past_day_stays_what_it_was_whatever_is_learnt_later() -> None:
    first, second, third = weeks()
    rows = first + second + third
    before = {p.day: p for p in report(rows).parts if p.day}
    # A third week full of frauds that were told on the last day changes nothing for the days before.
    worse = first + second + [{**r, **said(END_MS - 1)} if r["label"] is None else r for r in third]
    after = {p.day: p for p in report(worse).parts if p.day}
    assert after["2018-08-20"] == before["2018-08-20"]


def test_an_estimate_is_the_same_again_whatever_was_corrected_since() -> None:
    first, second, third = weeks(since=END_MS - 8 * DAY_MS)
    found = report(first + second + third)
    honest = joined_again(first, END_MS + DAY_MS, label=0.0, label_timestamp=END_MS - 9 * DAY_MS)
    assert report(honest + second + third).model_dump_json() == found.model_dump_json()
    assert report(honest + second + third, known=END_MS + DAY_MS) != found


def test_scores_that_say_too_little_are_calibrated_first_and_it_is_said() -> None:
    rows = [{**r, "score": r["score"] ** 3} for week in weeks() for r in week]
    part = recent(report(rows))
    straight = recent(report([r for week in weeks() for r in week]))
    assert part.calibration == "isotonic"
    assert part.figures["recall"].value == pytest.approx(straight.figures["recall"].value, abs=0.03)


def test_a_version_of_which_nothing_is_known_has_no_estimate() -> None:
    first, second, third = weeks()
    found = report(first + second + [{**r, "model_version": "4"} for r in third])
    part = recent(found, "4")
    assert (part.calibration, part.figures) == ("none", {})
    assert part.no_verdict.startswith("what scores of version 4 mean is not known: 0 of 0 rows")
    assert not found.alerts


def test_what_it_said_as_a_shadow_speaks_for_a_new_version_but_not_for_its_actions() -> None:
    first, second, third = weeks()
    shadows = [{**r, "shadow": True, "model_version": "4", "arm": "new", "action": None} for r in first + second]
    part = recent(report(first + second + shadows + [{**r, "model_version": "4"} for r in third]), "4")
    assert set(part.figures) == {"auc", "average_precision"} and part.reference_rows == 2800


def test_scores_that_tell_less_apart_are_an_alert_before_any_label() -> None:
    first, second, third = weeks()
    rng = np.random.default_rng(0)
    for r in third:
        r["score"] = float(np.clip(0.12 + rng.normal(0, 0.02), 0.01, 0.99))
    found = report(first + second + third)
    assert [alert.name for alert in found.alerts if "auc" in alert.name] == [
        "estimated_auc_below_minimum",
        "estimated_auc_fell",
    ]
    assert {alert.severity for alert in found.alerts} == {"warning"}
    assert {alert.since_ms for alert in found.alerts} == {found.recent.start_ms}
    assert found.recent.start_ms > found.window.start_ms
    assert not report(first + second + third, min_auc=0.0, max_fall=1.0).alerts


def test_the_same_question_has_the_same_answer_whatever_the_order_of_the_rows() -> None:
    rows = [r for week in weeks(rows=350) for r in week]
    assert report(rows).model_dump_json() == report(rows[::-1]).model_dump_json()


def test_rows_are_taken_apart_once_however_many_days_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, made = [r for week in weeks(rows=350) for r in week], Answers.of
    times: list[int] = []

    def counted(*given: Any) -> Answers:
        times.append(1)
        return made(*given)

    monkeypatch.setattr(Answers, "of", counted)
    assert len({part.day for part in report(rows).parts}) > 14 and len(times) == 1
    assert not {"features", "payload"} & set(COLUMNS)


def test_nothing_answered_is_no_verdict() -> None:
    found = report([])
    assert found.no_verdict and not found.parts and not found.mean_error


def test_enough_is_read_for_the_oldest_day_to_have_its_reference() -> None:
    start, end = times_to_read(FRAUD, END_MS)
    assert (END_MS - start) / DAY_MS == 7 + 14 + 7 + 28 and end == END_MS

"""Performance on joined labels: scikit-learn's figures, honest intervals, and no verdict where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, precision_score, recall_score, roc_auc_score

from lamina.clock import DAY_MS
from lamina.monitoring.forms import Group, PerformanceReport
from lamina.monitoring.inputs import columns_of
from lamina.monitoring.performance import days_to_read, performance
from models.activity.problem import PROBLEM as ACTIVITY
from models.fraud.problem import PROBLEM
from tests.unit.monitoring.joined import BEGIN_MS, DELAY_MS, calibrated, joined_again, reading, row, said, waiting

KNOWN_MS = BEGIN_MS + 7 * DAY_MS + DELAY_MS
"""All rows of the week are complete by then."""
STRANGERS = replace(PROBLEM, known_leave=False)


def report(
    rows: Sequence[dict[str, Any]],
    own: Mapping[str, Mapping[str, float]] | None = None,
    *,
    known: int = KNOWN_MS,
    end: int | None = None,
    problem: Any = STRANGERS,
    asked: list[tuple[str, ...]] | None = None,
) -> PerformanceReport:
    return performance(
        problem,
        reading(list(rows), asked),
        lambda versions: {v: (own or {})[v] for v in versions if v in (own or {})},
        end_ms=end or known,
        known_before_ms=known,
        resamples=100,
    )


def whole(found: PerformanceReport, version: str = "3") -> Group:
    group = found.of_version(version)
    assert group is not None
    return group


def test_figures_are_those_of_scikit_learn() -> None:
    rows = calibrated(2000)
    group = whole(report(rows))
    truth, score = (np.array([r[name] for r in rows]) for name in ("label", "score"))
    flagged = np.array([r["action"] == "review" for r in rows])
    expected = {
        "auc": roc_auc_score(truth, score),
        "average_precision": average_precision_score(truth, score),
        "log_loss": log_loss(truth, score),
        "accuracy": np.mean((score >= 0.5) == truth),
        "precision": precision_score(truth, flagged),
        "recall": recall_score(truth, flagged),
    }
    assert {name: group.figures[name].value for name in expected} == pytest.approx(expected)
    assert (group.rows, group.positives, group.no_verdict) == (2000, int(truth.sum()), "")
    for figure in group.figures.values():
        assert figure.low is not None and figure.high is not None and figure.low <= figure.value + 0.02
        assert figure.value <= figure.high + 0.02 and figure.low < figure.high
    # Scores that mean what they say are off by what chance explains; halved, by half of what they say.
    assert group.figures["calibration_error"].value < 0.02
    halved = whole(report([{**r, "score": r["score"] / 2} for r in rows])).figures["calibration_error"].value
    assert halved == pytest.approx(score.mean() / 2, abs=0.01)


def test_an_interval_holds_what_many_weeks_show_as_often_as_it_says() -> None:
    truth = roc_auc_score(*(np.array([r[n] for r in calibrated(100_000, seed=99)]) for n in ("label", "score")))
    held = 0
    for seed in range(40):
        auc = whole(report(calibrated(600, seed=seed))).figures["auc"]
        assert auc.low is not None and auc.high is not None
        held += auc.low <= truth <= auc.high
    assert 31 <= held <= 40, f"90 % of 40 intervals are 36, not {held}"


def test_labels_that_are_not_complete_are_not_looked_at_however_many_have_come() -> None:
    old, young = calibrated(1000), calibrated(1000, seed=1, first=1000)
    for r in young:
        r["timestamp"] += 7 * DAY_MS
        r |= said(r["timestamp"] + 1) if r["label"] else waiting()
    alone, both = report(old), report(old + young, end=KNOWN_MS)
    assert whole(alone) == whole(both)
    assert both.counts.waiting == 1000 - sum(r["timestamp"] < KNOWN_MS - DELAY_MS for r in young)
    assert 0 < both.counts.said_early < both.counts.waiting
    assert both.counts.judged + both.counts.waiting <= both.counts.answers == 2000


def test_what_became_known_later_is_not_looked_at() -> None:
    rows = calibrated(1000)
    frauds = [i for i, r in enumerate(rows) if r["label"]]
    late = [dict(r) for r in rows]
    for i in frauds[::2]:
        late[i] |= said(KNOWN_MS)
    early = [dict(r) for r in rows]
    for i in frauds[::2]:
        early[i] |= said(KNOWN_MS - 1)
    assert whole(report(late)).positives == len(frauds) - len(frauds[::2])
    assert whole(report(early)).positives == len(frauds)


def test_a_row_that_still_waited_when_it_was_joined_is_not_taken_for_negative() -> None:
    rows = calibrated(1000)
    for r in rows[:100]:
        r |= waiting()
    assert whole(report(rows)).rows == 900


@pytest.mark.parametrize("hour", [0, 9])
def test_what_became_complete_after_rows_were_joined_is_not_judged_by_its_frauds_alone(hour: int) -> None:
    rows = calibrated(7000)
    joined = BEGIN_MS + 6 * DAY_MS + hour * 3_600_000
    for r in rows:
        r |= waiting() if not r["label"] and r["timestamp"] >= joined else {}
    early = [r for r in rows if r["timestamp"] < joined]
    found, alone = whole(report(rows)), whole(report(early))
    # Frauds later than the last row whose silence was heard are not looked at.
    assert len(early) - 10 < found.rows <= len(early) < 7000 - 500
    assert found.positives / found.rows == pytest.approx(alone.positives / alone.rows, abs=0.002)
    assert report(rows).counts.said_early > 50


def test_a_day_of_which_all_was_said_is_complete() -> None:
    rows = [row(n, **said(BEGIN_MS + 9, float(n % 2))) for n in range(100)]
    assert (whole(report(rows)).rows, whole(report(rows)).positives) == (100, 50)


def test_the_same_question_has_the_same_answer_whatever_the_order_of_the_rows() -> None:
    rows = calibrated(400)
    assert report(rows).model_dump_json() == report(rows[::-1]).model_dump_json()


def test_who_asks_again_is_told_the_same_whatever_arrived_or_was_corrected_since() -> None:
    """Labels of both minds, known in time and found by a later join, and answers that were archived late."""
    then = calibrated(1400, since=KNOWN_MS)
    later = KNOWN_MS + DAY_MS
    frauds, others = ([r for r in then if bool(r["label"]) == kind] for kind in (True, False))
    now = joined_again(frauds, later, label=0.0, label_timestamp=KNOWN_MS - 1) + others[:-200]
    now += joined_again(others[-200:], later, **said(KNOWN_MS - DAY_MS))
    late = [row(5000 + n, since=later) for n in range(50)]
    late += [row(6000 + n, since=later, score=None, fallback="rules_only_no_model") for n in range(5)]
    assert report(now + late).model_dump_json() == report(then).model_dump_json()
    found = report(now + late, known=later)
    assert (whole(found).positives, found.counts.unscored) == (200, 5)


def test_what_no_join_had_found_is_no_verdict() -> None:
    found = report([r | {"since": KNOWN_MS + 1} for r in calibrated(400)])
    assert found.no_verdict and found.counts.answers == 0


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no answer of the window has a complete label"),
        ([row(n, score=None, fallback="rules_only_no_model") for n in range(50)], "no answer of the window"),
        ([row(n, **waiting()) for n in range(50)], "no answer of the window"),
    ],
)
def test_nothing_to_judge_is_no_verdict(rows: list[dict[str, Any]], reason: str) -> None:
    found = report(rows)
    assert found.no_verdict.startswith(reason) and not found.groups and not found.alerts
    assert found.counts.unscored == sum(r["score"] is None for r in rows)


@pytest.mark.parametrize("positives", [0, 1, 29, 30])
def test_too_few_of_a_kind_is_no_verdict_and_no_alert(positives: int) -> None:
    # As bad as can be: each fraud has the lowest score.
    rows = [row(n, score=0.5 + n / 10_000) for n in range(500)]
    rows += [row(1000 + n, score=n / 1000, timestamp=BEGIN_MS + n, **said(BEGIN_MS + 9)) for n in range(positives)]
    found = report(rows)
    if positives < 30:
        assert (
            whole(found).no_verdict == f"{positives} of {500 + positives} rows are positive: 30 of each kind are needed"
        )
        assert not found.alerts
    else:
        assert whole(found).no_verdict == ""
        assert [(a.name, a.severity, a.subject) for a in found.alerts] == [
            ("auc_below_minimum", "critical", "version 3")
        ]
    assert ("auc" in whole(found).figures) == (positives > 0)


def test_many_frauds_of_one_user_are_one_piece_of_evidence() -> None:
    rows = calibrated(500)
    for r in rows:
        if r["label"]:
            r["subjects"] = json.dumps({"user": "u-mugged"})
    found = whole(report(rows))
    assert "too few units" in found.no_verdict and found.figures["auc"].high is None


def test_an_empty_day_is_named() -> None:
    rows = [r for r in calibrated(700) if not BEGIN_MS + 2 * DAY_MS <= r["timestamp"] < BEGIN_MS + 3 * DAY_MS]
    found = report(rows)
    days = [g.day for g in found.groups if g.day]
    assert len(days) == 6 and "2018-08-09" not in days
    assert "2018-08-09" in found.empty_days and not set(days) & set(found.empty_days)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, []),
        ({"auc": 0.80}, []),
        ({"auc": 0.99}, ["auc_fell"]),
        ({"accuracy": 0.99}, ["accuracy_fell"]),
        ({"auc": 0.99, "accuracy": 0.99}, ["auc_fell", "accuracy_fell"]),
    ],
)
def test_a_fall_below_its_own_evaluation_is_told(own: dict[str, float], expected: list[str]) -> None:
    found = report(calibrated(2000), {"3": own})
    assert [alert.name for alert in found.alerts] == expected
    assert found.baselines == {"3": own}
    for alert in found.alerts:
        assert alert.severity == "warning" and alert.threshold == pytest.approx(0.94) and alert.value < 0.94
        assert alert.since_ms == found.recent.start_ms > found.window.start_ms


def test_a_fall_that_chance_explains_is_not_told() -> None:
    # 40 frauds: an AUC of .80 may as well be .87.
    rows = calibrated(330, seed=2)
    value = whole(report(rows)).figures["auc"]
    assert value.high is not None and value.high - value.value > 0.02
    own = (value.value + 0.051, value.high - 0.0001)
    assert not report(rows, {"3": {"auc": min(own)}}).alerts
    assert report(rows, {"3": {"auc": max(value.value + 0.051, value.high + 0.0001)}}).alerts


def test_versions_arms_days_and_slices_have_figures_of_their_own() -> None:
    rows = calibrated(1200) + calibrated(600, seed=3, quality=0.5, first=1200, model_version="4", arm="trees")
    for r in rows:
        r["features"] = json.dumps({"amount": 500.0 if r["event_id"].endswith("0") else 5.0, "device_type": "web"})
    found = report(rows)
    third, fourth = whole(found), whole(found, "4")
    assert (third.rows, fourth.rows) == (1200, 600)
    assert third.figures["auc"].value > fourth.figures["auc"].value + 0.05
    arms = [(g.model_version, g.arm, g.rows) for g in found.groups if g.arm]
    assert arms == [("4", "trees", 600)]
    slices = {g.slice: g.rows for g in found.groups if g.slice and g.model_version == "3"}
    assert slices["amount below 25"] == 1080 and slices["amount from 100 to 1000"] == 120
    assert slices["device web"] == 1200
    by_day = {g.day: g.rows for g in found.groups if g.day and g.model_version == "3"}
    assert sum(by_day.values()) == 1200 and len(by_day) == 7


def test_a_shadow_is_measured_beside_the_answer_on_the_same_rows() -> None:
    rows = calibrated(1500)
    rng = np.random.default_rng(5)
    worse = [
        {**r, "shadow": True, "model_version": "4", "arm": "candidate", "action": None, "features": "{}"}
        | {"score": float(np.clip(r["score"] + rng.normal(0, 0.3), 0, 1))}
        for r in rows[:1200]
    ]
    found = report(rows + worse)
    (beside,) = found.beside
    assert (beside.model_version, beside.arm, beside.champion, beside.rows) == ("4", "candidate", "3", 1200)
    assert beside.differences["auc"].high < 0
    (shadow,) = [g for g in found.groups if g.shadow and not g.day and not g.arm]
    assert {"precision", "recall"} & set(shadow.figures) == set(), "nobody acted on it"
    assert found.of_version("4") is None and found.counts.answers == 1500


def test_many_events_of_one_request_are_answers_of_their_own() -> None:
    """Features, what was decided, and what a version in the shadow says belong to the event that was asked about."""
    rows = calibrated(1500)
    for n, r in enumerate(rows):
        r["features"] = json.dumps({"amount": 500.0 if n % 3 else 5.0, "device_type": "web"})
        r |= {"score": 0.9, "action": "reject", "propensity": 0.9} if n % 7 == 0 else {}
    rows += [
        {**r, "shadow": True, "model_version": "4", "arm": "candidate", "action": None, "features": "{}"}
        | {"score": r["score"] * 0.9, "propensity": None}
        for r in rows
    ]
    together = [{**r, "request_id": f"of ten {n % 1500 // 10}"} for n, r in enumerate(rows)]
    own = report(rows)
    assert own.beside[0].rows == 1285 and own.counts.unknown == 215
    assert report(together).model_dump_json() == own.model_dump_json()


def test_declined_rows_say_nothing_and_those_let_through_stand_for_them() -> None:
    rows = calibrated(1500)
    for n in range(200):
        # Of the declined ones, whose truth nobody knows, one in ten was let through; half of these are frauds.
        declined = {"score": 0.9 + n / 10_000, "action": "reject", "propensity": 0.9}
        if n % 10 == 0:
            declined |= {"action": "approve", "propensity": 0.1, "intended": "reject"}
            declined |= said(BEGIN_MS + DAY_MS) if n % 20 == 0 else {}
        rows.append(row(5000 + n, **declined))
    found = report(rows)
    group = whole(found)
    assert (group.rows, group.let_through, found.counts.unknown) == (1520, 20, 180)
    reviewed = [r for r in rows[:1500] if r["action"] == "review"]
    caught = sum(r["label"] for r in reviewed)
    assert group.figures["precision"].value == pytest.approx((caught + 100) / (len(reviewed) + 200))
    frauds = sum(r["label"] for r in rows[:1500])
    assert group.figures["recall"].value == pytest.approx((caught + 100) / (frauds + 100))


def test_users_whose_fraud_is_known_leave_as_they_leave_the_evaluation() -> None:
    rows = calibrated(1400)
    before = row(
        9000, timestamp=BEGIN_MS - 10 * DAY_MS, subjects=json.dumps({"user": "u-9"}), **said(BEGIN_MS - 9 * DAY_MS)
    )
    after = [row(9001 + n, timestamp=BEGIN_MS + n, subjects=json.dumps({"user": "u-9"})) for n in range(5)]
    found, blocked = report([*rows, before, *after]), report([*rows, before, *after], problem=PROBLEM)
    assert whole(found).rows == 1405
    assert blocked.counts.known >= 5 and whole(blocked).rows == 1405 - blocked.counts.known


def test_a_system_that_acts_on_nothing_is_measured_at_its_threshold() -> None:
    rows = [{**r, "subjects": json.dumps({"shopper": "s", "item": "i"}), "action": None} for r in calibrated(800)]
    for n, r in enumerate(rows):
        r["subjects"] = json.dumps({"shopper": f"s-{n // 2}", "item": "i"})
    over = BEGIN_MS + 8 * DAY_MS
    found = performance(ACTIVITY, reading(rows), lambda versions: {}, end_ms=over, known_before_ms=over, resamples=50)
    flagged = [r["score"] >= 0.5 for r in rows]
    truth = [r["label"] for r in rows]
    group = whole(found)
    assert group.figures["precision"].value == pytest.approx(precision_score(truth, flagged))


def test_what_answers_were_made_of_is_read_for_slices_of_the_last_days_only() -> None:
    """35 days of features are hundreds of times what figures need."""
    asked: list[tuple[str, ...]] = []
    rows = calibrated(300)
    for r in rows:
        r |= {"features": json.dumps({"device_type": "web"}), "payload": json.dumps({"country": "DE"})}
    found = report(rows, asked=asked)
    assert {"device web", "country DE"} <= {g.slice for g in found.groups}
    first, second = asked
    assert not {"features", "payload"} & set(first) and {"features", "payload"} <= set(second)
    assert "score" not in second and "payload" not in columns_of(ACTIVITY)
    asked.clear()
    report([], asked=asked)
    assert asked == [first]


def test_enough_days_are_read() -> None:
    start, end = days_to_read(PROBLEM, KNOWN_MS, KNOWN_MS)
    found = report(calibrated(100))
    assert end == KNOWN_MS and start == found.window.start_ms - (14 + 7) * DAY_MS

"""The page of the second act says what was lost, what told of it and what gave it back, and no more than came of it."""

from __future__ import annotations

from lamina.demo.second_page import sections
from lamina.reporting.page import Lines
from lamina.reporting.results import Repair
from tests.unit.demo.repaired import repaired


def test_before_during_and_after_are_told_with_their_intervals() -> None:
    changed, _ = sections(repaired())
    assert [(each.label, each.ours) for each in changed.measures] == [
        ("AUC before", 0.991),
        ("AUC during", 0.812),
        ("AUC after", 0.981),
    ]
    assert "by version 2, 95 %: 0.961 to 0.991; 9 of 900" in changed.measures[2].note
    assert changed.headline and changed.headline.value.split()[::2] == ["0.991", "0.812", "0.981"]
    assert changed.headline.tone == "good" and "2 took over, 0 requests failed" in changed.headline.note
    [picture] = changed.pictures
    assert isinstance(picture.chart, Lines)
    assert picture.chart.lines == {"version 1": [(-1, 0.991), (0, 0.812)], "version 2": [(14, 0.981)]}


def test_it_says_which_requests_were_not_posted_and_which_alerts_count() -> None:
    changed, told = sections(repaired())
    assert "12,345 requests were not posted" in changed.note and "2026-03-05 00:00 UTC" in changed.note
    assert "have 2 alerts, 1 of them by labels" in told.note
    assert "Seen in Prometheus: ModelPerformanceFell (auc_fell)." in told.note
    assert [each.label for each in told.measures] == ["auc_fell of version 1", "covariate_drift of version 1"]


def test_failed_requests_are_said_at_the_top() -> None:
    broken = repaired().model_copy(update={"failed": {"HTTP 503": 3}})
    headline = sections(broken)[0].headline
    assert headline and headline.tone == "bad" and "3 requests failed" in headline.note


def test_what_it_did_not_come_to_is_said() -> None:
    nothing = {"alerts": [], "shown": [], "run_id": "", "outcome": "", "replaced_by": "", "by_day": []}
    quiet = Repair(**{**repaired().model_dump(), **nothing})
    changed, told = sections(quiet)
    assert "No retraining was asked for." in changed.note and not changed.pictures
    assert told.note.endswith("have no alert.")
    kept = repaired().model_copy(update={"replaced_by": ""})
    assert "The version that served goes on serving." in sections(kept)[0].note

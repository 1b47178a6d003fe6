from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lamina.clock import midnight_ms
from lamina.monitoring.reports import Alert, Report, Window, hours, write_report
from lamina.orchestration.retrain import KIND, Retraining, as_value, choose_retraining

SYSTEM = "fraud"
HOUR = datetime(2025, 3, 15, 7, tzinfo=UTC)
DAY = timedelta(days=1)


def watched(
    lake: str,
    hour: datetime = HOUR,
    *,
    alerts: int = 1,
    kind: str = "performance",
    since: date = date(2025, 3, 1),
    of: date | None = None,
) -> None:
    """A report of an hour, of rows from `since` on, that has so many alerts: of rows from `of` on if given."""
    known = int(hour.timestamp() * 1000)
    alert = Alert(name="auc_fell", severity="critical", subject="7", value=0.8, threshold=0.9, message="0.8 after 0.95")
    alert = alert.model_copy(update={"since_ms": midnight_ms(of) if of else None})
    window = Window(start_ms=midnight_ms(since), end_ms=known)
    report = Report(kind=kind, system=SYSTEM, known_before_ms=known, window=window, alerts=(alert,) * alerts)
    write_report(lake, hour, report)


def chosen(lake: str, hour: datetime = HOUR, cooldown: timedelta = DAY) -> Retraining | None:
    return choose_retraining(lake, SYSTEM, hour, cooldown)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path)


def test_nothing_is_asked_for_without_a_verdict(lake: str) -> None:
    assert chosen(lake) is None
    watched(lake, alerts=0)
    assert chosen(lake) is None
    assert not hours(lake, SYSTEM, KIND)


def test_a_report_of_another_hour_asks_for_nothing(lake: str) -> None:
    watched(lake, HOUR - timedelta(hours=1))
    assert chosen(lake) is None


def test_an_alert_asks_for_the_last_day_that_is_over_and_says_why(lake: str) -> None:
    watched(lake)
    found = chosen(lake)
    assert found is not None
    assert found.run_id == "drift__2025-03-15T07"
    assert found.logical_date == datetime(2025, 3, 14, 7, 30, tzinfo=UTC)
    assert found.since == date(2025, 3, 1)
    # Labels take 7 days: 1 to 7 March are complete, and nothing older is learnt from.
    assert found.conf == {"train_days": 4, "test_days": 3, "gap_days": 0}
    assert found.reason == "auc_fell of 7: 0.8 after 0.95"
    assert as_value(found)["logical_date"] == "2025-03-14T07:30:00+00:00"


def test_asked_again_for_the_same_hour_it_says_the_same(lake: str) -> None:
    watched(lake)
    first = chosen(lake)
    watched(lake, alerts=0)
    assert chosen(lake) == first
    assert hours(lake, SYSTEM, KIND) == [HOUR]


def test_the_window_is_the_usual_one_while_the_drift_is_too_young(lake: str) -> None:
    watched(lake, since=date(2025, 3, 8))
    found = chosen(lake)
    assert found is not None
    assert found.conf == {}


@pytest.mark.parametrize(("later", "asks"), [(1, False), (23, False), (24, True)])
def test_the_next_is_asked_for_when_the_cool_down_is_over(lake: str, later: int, asks: bool) -> None:
    watched(lake)
    assert chosen(lake) is not None
    next_hour = HOUR + timedelta(hours=later)
    watched(lake, next_hour)
    assert (chosen(lake, next_hour) is not None) is asks


def test_while_the_alert_stands_the_change_is_the_same_one(lake: str) -> None:
    watched(lake, since=date(2025, 3, 1))
    chosen(lake)
    watched(lake, HOUR + DAY, since=date(2025, 3, 2))
    found = chosen(lake, HOUR + DAY)
    assert found is not None
    assert found.since == date(2025, 3, 1)
    watched(lake, HOUR + 5 * DAY, since=date(2025, 3, 6))
    found = chosen(lake, HOUR + 5 * DAY)
    assert found is not None
    assert found.since == date(2025, 3, 6)


def test_alerts_of_all_kinds_count_and_the_oldest_window_wins(lake: str) -> None:
    watched(lake, kind="drift", since=date(2025, 3, 4))
    watched(lake, kind="performance", since=date(2025, 3, 2))
    found = chosen(lake)
    assert found is not None
    assert found.since == date(2025, 3, 2)
    assert found.reason.count("auc_fell") == 2


def test_the_change_is_as_old_as_the_rows_that_an_alert_is_of_and_not_as_the_window(lake: str) -> None:
    watched(lake, since=date(2025, 2, 15), of=date(2025, 3, 1))
    watched(lake, kind="drift", since=date(2025, 2, 1), alerts=0)
    found = chosen(lake)
    assert found is not None and found.since == date(2025, 3, 1)
    assert found.conf == {"train_days": 4, "test_days": 3, "gap_days": 0}


def test_labels_reach_back_further_than_the_window_of_what_is_served(lake: str) -> None:
    watched(lake, kind="drift", since=date(2025, 3, 14), of=date(2025, 2, 8))
    found = chosen(lake)
    assert found is not None and found.since == date(2025, 2, 8)


@pytest.mark.parametrize(("earlier", "asks"), [(1, False), (23, False), (24, True)])
def test_an_hour_that_is_asked_about_late_asks_for_none_within_the_cool_down(
    lake: str, earlier: int, asks: bool
) -> None:
    watched(lake, since=date(2025, 3, 4))
    chosen(lake)
    before = HOUR - timedelta(hours=earlier)
    watched(lake, before, since=date(2025, 3, 5))
    found = chosen(lake, before)
    assert (found is not None) is asks
    if found is not None:
        assert found.since == date(2025, 3, 5), "what came after is not looked at otherwise"


def test_a_training_on_few_days_is_followed_by_ones_on_twice_as_many_and_on_a_whole_window(lake: str) -> None:
    watched(lake)
    asked = {}
    for later in range(16):
        hour = HOUR + later * DAY
        watched(lake, hour, alerts=int(later == 0))
        if (found := chosen(lake, hour)) is not None:
            asked[later] = (found.conf["train_days"], found.since)
    assert asked == {0: (4, date(2025, 3, 1)), 4: (8, date(2025, 3, 1)), 10: (14, date(2025, 3, 1))}
    watched(lake, HOUR + timedelta(hours=5), alerts=0)
    assert chosen(lake, HOUR + timedelta(hours=5)) is None


def test_a_drift_that_was_too_young_is_learnt_from_once_there_are_days_enough(lake: str) -> None:
    watched(lake, since=date(2025, 3, 8))
    chosen(lake)
    for later in range(1, 8):
        watched(lake, HOUR + later * DAY, alerts=0)
    found = [chosen(lake, HOUR + later * DAY) for later in range(1, 8)]
    assert [each.conf["train_days"] if each else None for each in found] == [None] * 6 + [4]

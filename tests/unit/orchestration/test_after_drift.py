from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lamina.orchestration.after_drift import AfterDrift, Window, window_after
from lamina.orchestration.days import training_days

SINCE = date(2025, 3, 1)


@given(later=st.integers(0, 90), delay=st.integers(0, 14))
def test_no_row_from_before_the_drift_is_learnt_from(later: int, delay: int) -> None:
    day, rule = SINCE + timedelta(days=later), AfterDrift()
    window = window_after(SINCE, day, delay, rule)
    if window is None:
        assert later - delay + 1 < rule.fewest_train_days + rule.test_days
        return
    first, last = training_days(day, {**window.parameters, "delay_days": delay})
    assert first >= SINCE
    assert last == day - timedelta(days=delay)
    assert rule.fewest_train_days <= window.train_days <= rule.most_train_days


def test_the_example_of_the_module() -> None:
    found = [window_after(SINCE, date(2025, 3, day), 7) for day in (9, 13, 14, 31)]
    assert found == [None, None, Window(4, 3, 0), Window(14, 3, 0)]


def test_a_gap_is_kept_out_of_the_training_days() -> None:
    assert window_after(SINCE, date(2025, 3, 20), 7, AfterDrift(gap_days=2)) == Window(8, 3, 2)

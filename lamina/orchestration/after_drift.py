"""Which days to train and test on once something has drifted: no older ones than the drift, as soon as they suffice.

The usual window ends a label's delay before the test days, which end another before the logical date: three weeks pass
until the first row after a drift is learnt from. After a drift that costs more than a test that flatters a little. An
example, with labels that take 7 days, and a drift on 1 March:

    logical date  complete since the drift  window
    9 March       1 March to 2 March        the usual one: two days are too few
    14 March      1 March to 7 March        trained on 1 to 4 March, tested on 5 to 7 March
    31 March      1 March to 24 March       trained on 8 to 21 March, tested on 22 to 24 March
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from lamina.orchestration.days import TRAIN_DAYS


@dataclass(frozen=True)
class AfterDrift:
    """A window after a drift: at least `fewest_train_days` of it and at most `most_train_days`, and `test_days` after
    them. Between both lie `gap_days`.
    """

    fewest_train_days: int = 4
    most_train_days: int = TRAIN_DAYS
    test_days: int = 3
    gap_days: int = 0


USUAL = AfterDrift()
"""Unless another rule is given."""


@dataclass(frozen=True)
class Window:
    """Days to train and test on, and how many lie between."""

    train_days: int
    test_days: int
    gap_days: int

    @property
    def parameters(self) -> dict[str, int]:
        """As parameters of the training DAG."""
        return {"train_days": self.train_days, "test_days": self.test_days, "gap_days": self.gap_days}


def window_after(since: date, day: date, delay_days: int, rule: AfterDrift = USUAL) -> Window | None:
    """The window of a training for the logical date `day`, of days from `since` on alone; None while they are too few.

    Labels are complete `delay_days` after a row.

    >>> window_after(date(2025, 3, 1), date(2025, 3, 14), 7)
    Window(train_days=4, test_days=3, gap_days=0)
    >>> window_after(date(2025, 3, 1), date(2025, 3, 9), 7) is None
    True
    """
    complete = (day - timedelta(days=delay_days) - since).days + 1
    train_days = complete - rule.test_days - rule.gap_days
    if train_days < rule.fewest_train_days:
        return None
    return Window(min(train_days, rule.most_train_days), rule.test_days, rule.gap_days)

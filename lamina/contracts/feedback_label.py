"""What a system makes of feedback on its answers: the label that each action says, whose word wins, how long to wait.

Three kinds, all as data:

    binary   grades={"purchase": 1, "click": 1, "skip": 0}      a later "skip" does not take back a purchase: largest
    graded   grades={"purchase": 3, "cart": 2, "click": 1}
    reward   reward=True                                        the label is the event's own value

    answer at 10:00        click at 10:02       purchase at 10:40                 10:00 of the next day
    |----------------------|--------------------|---------------------------------|
    waits                  1                    3                                 nothing said by now: 0
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lamina.contracts.durations import Duration

LabelKind = Literal["binary", "graded", "reward"]
Keeps = Literal["newest", "largest"]


@dataclass(frozen=True, kw_only=True)
class FeedbackLabel:
    """How feedback labels an answer. Of several events that were known at a time, those of the best source count; of
    these the one that `keeps` says stands.

    order: sources, the best first; the origins of the record's own label are among them. Others are refused.
    within: feedback that names no request is about the newest answer to its subjects at most so long before it; and so
    long after an answer of which nothing was said, it counts as 0. Feedback that names its answer counts whenever it
    comes. grades: what each action says. reward: the event's own value is the label, of any action in `grades`, or of
    all where there are none.
    keeps: the newest, which corrects what was said before, or the largest, as of what a user does one after the other.
    """

    order: tuple[str, ...]
    within: Duration
    grades: Mapping[str, float] = field(default_factory=dict)
    reward: bool = False
    keeps: Keeps = "newest"

    @property
    def kind(self) -> LabelKind:
        """What kind of number the label is."""
        if self.reward:
            return "reward"
        return "binary" if set(self.grades.values()) <= {0, 1} else "graded"

    def says(self, action: str | None, value: float | None) -> float | None:
        """The label that an event says; None where it says none.

        >>> from lamina.contracts.durations import days
        >>> bought = FeedbackLabel(order=("shop",), within=days(1), grades={"click": 1, "skip": 0})
        >>> bought.says("click", None), bought.says("skip", 7.0), bought.says("share", None)
        (1.0, 0.0, None)
        """
        if not self.reward:
            return None if action is None or action not in self.grades else float(self.grades[action])
        return value if not self.grades or action in self.grades else None

    def rank(self, source: str) -> int:
        """Place of a source in the order; the smaller the better."""
        return self.order.index(source) if source in self.order else len(self.order)

    def complaints(self, origins: Collection[str]) -> Iterator[str]:
        """What is wrong with it, where `origins` are those of the record's own label; sentences that say what to do."""
        if not self.order or len(set(self.order)) < len(self.order):
            yield "its order names each source once, the best first, and at least one"
        if lacking := sorted(set(origins) - set(self.order)):
            yield f"its order leaves open where {lacking} stand, from whom the label is: name them"
        if self.within.s <= 0:
            yield f"within {self.within.label} nothing can be said: give a longer time"
        if not self.grades and not self.reward:
            yield "nothing says what an action means: give grades, or say reward"

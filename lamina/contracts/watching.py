"""When somebody has to be told about a system: thresholds of its alerts, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What is watched of a system that has a model, and from where on it is an alert.

    Performance on joined labels. min_auc: alert when the whole interval of the AUC is below. max_fall: alert when AUC
    or accuracy is so much below the champion's own evaluation, and chance cannot explain a fall. min_rows: rows of
    each kind, positive and negative, that a figure needs; with fewer there is no verdict. days: so many of the last
    days whose labels are complete are taken together.
    alarms: the actions by which it acts on a row that it takes for positive; of a system without such actions a row is
    flagged when its score is at least `flagged_from`. withholding: the actions after which nothing happens that a label
    could be about, such as a declined payment.
    """

    min_auc: float = 0.70
    max_fall: float = 0.05
    min_rows: int = 30
    days: int = 7
    alarms: tuple[str, ...] = ()
    flagged_from: float = 0.5
    withholding: tuple[str, ...] = ()

    def complaints(self) -> Iterator[str]:
        """What cannot be right about it, each a sentence that says what to do.

        >>> list(Watching(min_auc=70).complaints())
        ['min_auc 70: it is an AUC, give a number from 0 to 1']
        """
        for name, what in (("min_auc", "an AUC"), ("max_fall", "a difference of shares"), ("flagged_from", "a score")):
            if not 0 <= (value := getattr(self, name)) <= 1:
                yield f"{name} {value:g}: it is {what}, give a number from 0 to 1"
        for name in ("min_rows", "days"):
            if (value := getattr(self, name)) < 1:
                yield f"{name} {value}: no figure can be had without rows, give 1 or more"


USUAL = Watching()
"""Unless a system's record says otherwise."""

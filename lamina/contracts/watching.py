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
    Drift. ks, jensen_shannon, missing: effects of a feature, or of scores, from which on it is an alert: of numbers, of
    texts, and of the share without a value. prior: how much the share of positives may rise or fall, 0.3 by the factor
    1.3. concept: how far the AUC may fall below that of the model's own test. significance: at most this share of
    what is told came by chance. compared_rows: with fewer nothing is compared. drift_hours: hours of answers that are
    taken together; label_days: days of them for the share of positives, which come in series.
    alarms: the actions by which it acts on a row that it takes for positive; of a system without such actions a row is
    flagged when its score is at least `flagged_from`. withholding: the actions after which nothing happens that a label
    could be about, such as a declined payment.
    """

    min_auc: float = 0.70
    max_fall: float = 0.05
    min_rows: int = 30
    days: int = 7
    ks: float = 0.1
    jensen_shannon: float = 0.1
    missing: float = 0.05
    prior: float = 0.3
    concept: float = 0.04
    significance: float = 0.01
    compared_rows: int = 500
    drift_hours: int = 24
    label_days: int = 28
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
        for name in ("ks", "jensen_shannon", "missing", "concept", "significance"):
            if not 0 < (value := getattr(self, name)) < 1:
                yield f"{name} {value:g}: give a number between 0 and 1"
        if self.prior <= 0:
            yield f"prior {self.prior:g}: give how much more there may be, such as 0.3"
        for name in ("min_rows", "days", "compared_rows", "drift_hours", "label_days"):
            if (value := getattr(self, name)) < 1:
                yield f"{name} {value}: no figure can be had without rows, give 1 or more"


USUAL = Watching()
"""Unless a system's record says otherwise."""

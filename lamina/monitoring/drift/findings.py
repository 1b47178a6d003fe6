"""What a comparison found, and when it is an alert: the effect passes its threshold, and chance cannot explain it.

Any difference becomes significant when rows are many, and a large one is found by chance when they are few, or when
comparisons are many: neither alone is a reason to wake somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MISSING = "missing"
"""The statistic of rows without a value."""
CRITICAL_FROM = 2.5
"""A drift is critical from so many times its threshold on: the bands of PSI, 0.1 and 0.25, for every effect."""


class Kind(StrEnum):
    """What may drift: features, scores, the share of positives, or what the features say of the label."""

    COVARIATE = "covariate"
    PREDICTION = "prediction"
    PRIOR = "prior"
    CONCEPT = "concept"


class State(StrEnum):
    """What came of a comparison. All but the first two found nothing to compare, and say why."""

    STABLE = "stable"
    DRIFTED = "drifted"
    TOO_FEW = "too_few"
    EMPTY = "empty"
    ALL_MISSING = "all_missing"
    NO_REFERENCE = "no_reference"


class Severity(StrEnum):
    """How far an effect is beyond its threshold."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison of what is served with the reference.

    statistic: what the effect is. effect: as measured. error: how much of it may be the sketches'. threshold: what the
    effect less its error must pass. p: how likely chance alone gives the effect less its error. adjusted: p, corrected
    for the number of comparisons. further: other figures of the same comparison, by name.
    """

    kind: Kind
    subject: str
    statistic: str
    threshold: float
    reference_rows: int
    rows: int
    state: State = State.STABLE
    effect: float | None = None
    error: float = 0.0
    p: float | None = None
    adjusted: float | None = None
    further: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def certain(self) -> float:
        """The effect less its error; 0 where nothing was compared."""
        return 0.0 if self.effect is None else max(self.effect - self.error, 0.0)

    @property
    def severity(self) -> Severity | None:
        """None unless it drifted."""
        if self.state is not State.DRIFTED:
            return None
        return Severity.CRITICAL if self.certain >= CRITICAL_FROM * self.threshold else Severity.WARNING

    @property
    def message(self) -> str:
        """What was found, in a sentence."""
        what = f"{self.kind} {self.subject}"
        match self.state:
            case State.EMPTY:
                return f"{what}: nothing was served"
            case State.TOO_FEW:
                return f"{what}: {self.rows} rows are too few to compare"
            case State.ALL_MISSING:
                return f"{what}: missing in all {self.rows} rows"
            case State.NO_REFERENCE:
                return f"{what}: the reference has no values of it"
        found = f"{what}: {self.statistic} {self.effect:.4g}"
        limit = f"{'beyond' if self.state is State.DRIFTED else 'threshold'} {self.threshold:g}"
        return f"{found}, {limit}, p {self.p:.2g} ({self.adjusted:.2g} after correction), {self.rows} rows"


def not_compared(rows: int, reference_rows: int, least: int) -> State | None:
    """Why so many rows cannot be compared; None when they can."""
    if not rows:
        return State.EMPTY
    if not reference_rows:
        return State.NO_REFERENCE
    return State.TOO_FEW if min(rows, reference_rows) < least else None

"""What reports of performance hold; read by whoever shows them, so nothing that computes is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lamina.monitoring.reports import Part, Report, Window
from lamina.registry.evaluation import Interval


class Figure(Part):
    """A figure, and the ends of its interval; None where draws of the units could not have it."""

    value: float
    low: float | None = None
    high: float | None = None


class Estimate(Part):
    """An expectation, and the band of three sampling errors to each side in which the realised figure should lie."""

    value: float
    sampling_error: float
    low: float
    high: float


class Group(Part):
    """Figures of some answers: of a version, and where they are given, of an arm, a day (UTC) or a slice.

    let_through: rows that stand for declined ones. no_verdict: why the figures say nothing, "" where they do.
    """

    model_version: str
    shadow: bool = False
    arm: str | None = None
    day: str | None = None
    slice: str | None = None
    rows: int
    positives: int
    let_through: int = 0
    figures: dict[str, Figure] = Field(default_factory=dict)
    no_verdict: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is of all that a version answered lately."""
        return self.arm is None and self.day is None and self.slice is None


class Beside(Part):
    """A version that scored in the shadow of another, on the same answers: by how much its figures are higher."""

    model_version: str
    arm: str | None
    champion: str
    rows: int
    positives: int
    differences: dict[str, Interval] = Field(default_factory=dict)
    no_verdict: str = ""


class Counts(Part):
    """What became of the answers of the window. judged: those that the figures are of.

    unscored: answered without a model. waiting: their label is not complete; said_early: of those, how many were spoken
    of already. unknown: declined, so that nobody knows what they were. known: of units of which a positive row was
    known by then, which the evaluation of a version leaves out as well.
    """

    answers: int
    unscored: int
    waiting: int
    said_early: int
    unknown: int
    known: int
    judged: int


class PerformanceReport(Report):
    """What the report of an hour says. recent: times of the rows that the verdict is of; baselines: the figures of each
    version's own evaluation; empty_days: days whose labels are complete, and of which no answer could be judged;
    no_verdict: why there is no figure at all.
    """

    kind: Literal["performance"] = "performance"
    recent: Window
    counts: Counts
    baselines: dict[str, dict[str, float]]
    groups: tuple[Group, ...]
    beside: tuple[Beside, ...] = ()
    empty_days: tuple[str, ...] = ()
    no_verdict: str = ""

    def of_version(self, version: str) -> Group | None:
        """The recent answers of a version that served, taken together."""
        found = [g for g in self.groups if g.model_version == version and g.is_whole and not g.shadow]
        return found[0] if found else None


Calibration = Literal["as given", "isotonic", "none"]
"""Scores mean what they say as they are, or after isotonic regression; or nothing is known of it."""


class EstimatedPart(Part):
    """What figures of a version probably are, on the answers of a day (UTC) or, without one, on its last days.

    reference_rows: rows with complete labels that the estimate was learnt from, all of them known by the end of that
    day. realised, error: once labels are complete, what came true of the rows that have one, and the estimate on the
    same rows less that. no_verdict: why there is no estimate, "" where there is one.
    """

    model_version: str
    day: str | None = None
    rows: int
    reference_rows: int = 0
    calibration: Calibration = "none"
    figures: dict[str, Estimate] = Field(default_factory=dict)
    realised: dict[str, float] = Field(default_factory=dict)
    error: dict[str, float] = Field(default_factory=dict)
    no_verdict: str = ""


class EstimatedReport(Report):
    """What the estimates of an hour are. mean_error: of each version's days whose labels are complete, the mean
    distance of estimate and truth, by figure.
    """

    kind: Literal["estimated"] = "estimated"
    recent: Window
    parts: tuple[EstimatedPart, ...]
    mean_error: dict[str, dict[str, float]]
    no_verdict: str = ""

"""What a system adds to the page of a run, as data: its word for an answer, and sections of measures and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Headline:
    """One figure at the top of the page."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Measure:
    """A line of a table: ours, the published one, and by how much ours is higher."""

    label: str
    note: str = ""
    ours: float | None = None
    published: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anything to show."""
        return self.ours is not None or self.published is not None

    @property
    def ahead(self) -> float | None:
        """Ours less the published one, or None where one of them is missing.

        >>> Measure("AUC", ours=0.75, published=0.5).ahead
        0.25
        """
        return None if self.ours is None or self.published is None else self.ours - self.published


@dataclass(frozen=True)
class PrecisionRecall:
    """Points (recall, precision) in order of recall; `share` of positives is the line that guessing reaches."""

    points: Sequence[tuple[float, float]]
    share: float


@dataclass(frozen=True)
class Roc:
    """Points (false positive rate, recall) in order of the rate; of rare positives, rates below one percent count."""

    points: Sequence[tuple[float, float]]
    is_rare: bool = True


@dataclass(frozen=True)
class Bars:
    """A bar a key. `name` is the chart's own on its page; `tones`: what a key stands for, where that has a colour."""

    name: str
    title: str
    counts: Mapping[str, int]
    tones: Mapping[str, Literal["good", "careful", "bad"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Lines:
    """Shares over whole numbers, a line each: points (x, share) by name, in order of x. `name` is the chart's own."""

    name: str
    title: str
    across: str
    up: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


Chart = PrecisionRecall | Roc | Bars | Lines


@dataclass(frozen=True)
class Picture:
    """A chart with what stands above and below it."""

    chart: Chart
    heading: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One section of the page. With a title alone it says that nothing was measured.

    `published_by` names whose figures stand beside ours in the table; None leaves their columns out.
    """

    title: str
    note: str = ""
    measures: tuple[Measure, ...] = ()
    published_by: str | None = None
    pictures: tuple[Picture, ...] = ()
    headline: Headline | None = None

    @property
    def is_measured(self) -> bool:
        """Whether there is anything below the title."""
        return bool(self.note or self.measures or self.pictures)


def told_apart(
    precision_recall: Sequence[tuple[float, float]],
    roc: Sequence[tuple[float, float]],
    share: float,
    *,
    is_rare: bool = True,
) -> tuple[Picture, ...]:
    """How well scores tell positives from the rest: both curves, where there are two; `share` of rows is positive.

    Args: is_rare: whether what matters happens at false positive rates below one percent.
    """
    first = Picture(PrecisionRecall(precision_recall, share), caption="Precision over recall on the test rows.")
    if not roc:
        return (first,)
    caption = "Recall over the false positive rate" + (", which is on a logarithmic axis." if is_rare else ".")
    return first, Picture(Roc(roc, is_rare), caption=caption)


@dataclass(frozen=True)
class Page:
    """What only this system's page has: `answer` is its word for what the API answers, in the singular."""

    answer: str
    sections: tuple[Section, ...] = ()

"""Charts of figures by day, with the ends between which each lies, as inline SVG text. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import cycle

from lamina.reporting.drawing import ACCENT, MUTED, TONES, WARM, axes_of, styled, svg

COLOURS = (ACCENT, WARM, TONES["good"], TONES["bad"])


@dataclass(frozen=True)
class DayFigure:
    """A figure of a day; without ends where they are not known."""

    day: date
    value: float
    low: float | None = None
    high: float | None = None


@styled
def by_day(
    name: str,
    title: str,
    up: str,
    lines: Mapping[str, Sequence[DayFigure]],
    truths: Mapping[str, Sequence[DayFigure]] | None = None,
    levels: Mapping[str, float] | None = None,
) -> str:
    """A line each with its band, and beside it as dots what came true, where that has the same name; `levels` are what
    figures are held against. `name` is the chart's own on its page, `up` what is drawn.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, axes = axes_of(10.6, 3.6)
    for (label, points), colour in zip(lines.items(), cycle(COLOURS), strict=False):
        values = [point.value for point in points]
        axes.plot(_at(points), values, color=colour, linewidth=1.8, marker="o", markersize=4, label=label)
        banded = [point for point in points if point.low is not None and point.high is not None]
        low, high = ([float(getattr(point, end)) for point in banded] for end in ("low", "high"))
        axes.fill_between(_at(banded), low, high, color=colour, alpha=0.15, linewidth=0)
        axes.vlines(_at(banded), low, high, color=colour, linewidth=1, alpha=0.5)
        true = (truths or {}).get(label, ())
        dots = [point.value for point in true]
        axes.plot(_at(true), dots, color=colour, marker="D", markersize=6, fillstyle="none", linestyle="")
    for label, value in (levels or {}).items():
        axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{label}: {value:.3g}",
            (0.005, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 4),
            textcoords="offset points",
            color=MUTED,
        )
    locator = AutoDateLocator(minticks=3)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set(ylabel=up)
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, columnspacing=1.4)
    return svg(figure, name, title)


def _at(points: Sequence[DayFigure]) -> list[float]:
    from matplotlib.dates import date2num

    return [float(date2num(point.day)) for point in points]

"""Figures over time as shapes for a template, which draws them as SVG in the colours of the page.

Not by matplotlib, which draws those of reports: its pictures bring styles of their own, which the console's policy
stops, and it would hold the interpreter from decisions for as long as it draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 720.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 26.0, 14.0, 26.0
TICKS = 5
HAIR = 1e-9
"""What of a step is lost where shares are written in binary: a mark at the end of an axis is on it."""
LEAST_RANGE = 0.02


@dataclass(frozen=True)
class Point:
    """A figure at a place on the axis, between its ends where they are known. `text` is said of it."""

    at: float
    value: float
    text: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Figures of one kind in the order of the axis. colour: those of one version have the same; dashed: estimated."""

    name: str
    colour: int
    points: Sequence[Point]
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    """A series as drawn: places in pixels as SVG writes them; `dots` with what is said of each."""

    name: str
    colour: int
    dashed: bool
    path: str
    band: str
    dots: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class Chart:
    """A drawing, measured in pixels. across, up: marks on the axes; levels: what figures are held against; left, right:
    where lines of the grid begin and end.
    """

    title: str
    lines: Sequence[Line]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]
    levels: Sequence[tuple[float, str]]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT


def chart(title: str, series: Sequence[Series], levels: dict[str, float], across: Callable[[float], str]) -> Chart:
    """The chart of some series, of which one has a point.

    Args: levels: what figures are held against, by its name; across: what the axis says of a place.
    """
    points = [point for each in series for point in each.points]
    ends = [*levels.values(), *(end for p in points for end in (p.value, p.low, p.high) if end is not None)]
    low, high = padded(min(ends), max(ends))
    places = sorted({point.at for point in points})

    def x(at: float) -> float:
        return _between(at, places[0], places[-1], LEFT, WIDTH - RIGHT)

    def y(value: float) -> float:
        return _between(value, low, high, HEIGHT - BOTTOM, TOP)

    step = -(-len(places) // TICKS)
    return Chart(
        title,
        [_line(each, x, y) for each in series if each.points],
        [(x(at), across(at)) for at in places[::step]],
        [(y(tick), text) for tick, text in ticks(low, high)],
        [(y(value), f"{name}: {value:.3g}") for name, value in levels.items()],
    )


def _line(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> Line:
    ends = [(x(p.at), p.low, p.high) for p in series.points if p.low is not None and p.high is not None]
    there = [(at, y(low)) for at, low, _ in ends]
    back = [(at, y(high)) for at, _, high in reversed(ends)]
    return Line(
        series.name,
        series.colour,
        series.dashed,
        _path([(x(p.at), y(p.value)) for p in series.points]),
        _path([*there, *back]),
        [(x(p.at), y(p.value), p.text) for p in series.points],
    )


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _between(value: float, low: float, high: float, first: float, last: float) -> float:
    """`value` on the way from `low` to `high` as a place on that from `first` to `last`; a single one in the middle.

    >>> _between(0.75, 0.5, 1.0, 200, 0), _between(3, 3, 3, 0, 10)
    (100.0, 5.0)
    """
    share = 0.5 if high == low else (value - low) / (high - low)
    return first + share * (last - first)


def padded(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that has room above and below.

    >>> [round(end, 3) for end in padded(0.5, 0.9)], [round(end, 3) for end in padded(0.8, 0.8)]
    ([0.46, 0.94], [0.78, 0.82])
    """
    room = max(0.1 * (high - low), LEAST_RANGE)
    return low - room, high + room


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers between two ends, at most six, each as written on an axis.

    >>> [text for _, text in ticks(0.46, 0.94)]
    ['0.5', '0.6', '0.7', '0.8', '0.9']
    """
    rough = (high - low) / TICKS
    unit = 10.0 ** floor(log10(rough))
    step = next(n * unit for n in (1, 2, 5, 10) if n * unit >= rough * (1 - HAIR))
    first, last = ceil(low / step - HAIR), floor(high / step + HAIR)
    digits = max(0, -floor(log10(step) + HAIR))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(first, last + 1)]

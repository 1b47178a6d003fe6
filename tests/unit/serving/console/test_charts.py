"""Places of figures on a drawing."""

from __future__ import annotations

import pytest

from serving.console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, Series, chart, ticks


def drawn(*points: Point, level: float = 0.7) -> tuple[list[tuple[float, float]], float]:
    found = chart("AUC", [Series("v", 0, points), Series("empty", 1, ())], {"least": level}, lambda at: f"day {at:g}")
    (line,) = found.lines
    return [(x, y) for x, y, _ in line.dots], found.levels[0][0]


def test_higher_is_higher_and_later_is_further_to_the_right() -> None:
    (first, second, third), level = drawn(Point(10, 0.9, ""), Point(11, 0.8, ""), Point(13, 0.6, ""))
    assert (first[0], third[0]) == (LEFT, WIDTH - RIGHT) and second[0] - first[0] == pytest.approx(
        (third[0] - first[0]) / 3
    )
    assert TOP < first[1] < second[1] < level < third[1] < HEIGHT - BOTTOM


def test_all_of_an_interval_and_what_it_is_held_against_are_on_the_drawing() -> None:
    found = chart("AUC", [Series("v", 0, [Point(1, 0.5, "", 0.2, 0.9)])], {"least": 0.95}, str)
    (line,) = found.lines
    places = [float(place.split(",")[1]) for place in line.band.split()]
    assert len(places) == 2 and max(places) < HEIGHT - BOTTOM and TOP < found.levels[0][0] < min(places)


def test_one_point_is_in_the_middle_and_same_figures_are_a_line() -> None:
    ((x, y),), level = drawn(Point(5, 0.7, ""))
    assert x == pytest.approx((LEFT + WIDTH - RIGHT) / 2) and y == level


def test_a_band_has_only_what_has_ends() -> None:
    found = chart("AUC", [Series("v", 0, [Point(1, 0.5, ""), Point(2, 0.5, "", 0.4, 0.6)])], {}, str)
    assert len(found.lines[0].band.split()) == 2 and len(found.lines[0].path.split()) == 2


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.931, 0.958, ["0.94", "0.95"]),
        (0.68, 0.72, ["0.68", "0.69", "0.70", "0.71", "0.72"]),
        (-3.0, 12.0, ["0", "5", "10"]),
    ],
)
def test_marks_are_round(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in ticks(low, high)] == texts
    assert all(low - 1e-9 <= at <= high + 1e-9 for at, _ in ticks(low, high))


def test_an_axis_of_many_days_names_some() -> None:
    points = [Point(n, 0.5, "") for n in range(28)]
    assert len(chart("AUC", [Series("v", 0, points)], {}, str).across) <= 6

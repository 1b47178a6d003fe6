"""How well positives are told apart, and where it cannot be said."""

from __future__ import annotations

from datetime import date

from lamina.demo.judged import Judged, span, spans_by_day

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 6)


def row(day: date, score: float, positive: bool, version: str = "1", unit: str = "") -> Judged:
    return Judged(day, version, score, positive, unit or f"{score}")


def test_an_auc_has_the_interval_of_its_units() -> None:
    rows = [row(FIRST, i / 100, i % 4 == 0 or i > 80, unit=f"u{i}") for i in range(100)]
    found = span("during", rows)
    assert found.auc is not None and found.low is not None and found.high is not None
    assert found.low < found.auc < found.high
    assert (found.rows, found.positives, found.first, found.last, found.versions) == (100, 40, FIRST, FIRST, ["1"])
    assert span("during", [row(FIRST, 0.9, True), row(SECOND, 0.1, False)]).auc == 1.0


def test_of_one_kind_alone_nothing_is_said() -> None:
    assert span("x", [row(FIRST, 0.5, True)]).auc is None
    assert span("x", [row(FIRST, 0.5, False)]).auc is None
    nothing = span("x", [])
    assert (nothing.auc, nothing.first, nothing.rows) == (None, None, 0)


def test_a_day_of_two_versions_has_a_span_of_each() -> None:
    rows = [row(SECOND, 0.5, True), row(FIRST, 0.5, True), row(SECOND, 0.4, False, "2")]
    assert [(each.first, each.versions) for each in spans_by_day(rows)] == [
        (FIRST, ["1"]),
        (SECOND, ["1"]),
        (SECOND, ["2"]),
    ]

"""Reports of performance as pages for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from lamina.contracts.watching import Watching
from lamina.monitoring.forms import Beside, Estimate, EstimatedPart, EstimatedReport, Figure, Group, PerformanceReport
from lamina.reporting.days import DayFigure, by_day
from lamina.reporting.watched import Cell, Sheet, render

DRAWN = {"auc": "AUC", "average_precision": "average precision", "recall": "recall"}
"""Figures that are drawn by day, and what the axis calls them."""
TABLED = ("auc", "average_precision", "log_loss", "calibration_error", "accuracy", "precision", "recall")
HEADINGS = ("AUC", "average precision", "log loss", "calibration error", "accuracy", "precision", "recall")
CALIBRATED = {"as given": "as given", "isotonic": "calibrated", "none": "unknown"}
INTERVAL = "A band is the interval in which the figure lies with 90 % by the data; days with too few rows have none."


def performance_page(report: PerformanceReport, watching: Watching) -> bytes:
    """What was found by complete labels."""
    whole = [group for group in report.groups if group.is_whole]
    days = [group for group in report.groups if group.day]
    sheets = [
        Sheet(
            "Versions, over the last days",
            "Each version's last days with complete labels together: these are what alerts are about. A shadow scored "
            "beside the answers and was shown to nobody.",
            headings=("version", "rows", *HEADINGS),
            rows=tuple(_row(_name(group), group) for group in whole),
        ),
        Sheet("Day by day", INTERVAL, charts=tuple(_charts(days, report.baselines, watching))),
        Sheet(
            "Arms",
            headings=("arm", "rows", *HEADINGS),
            rows=tuple(_row(f"{group.arm}, {_name(group)}", group) for group in report.groups if group.arm),
        ),
        Sheet(
            "Slices, over the last days",
            "Parts of the rows; those of one kind may overlap another's.",
            headings=("slice", "rows", *HEADINGS),
            rows=tuple(_row(f"{group.slice}, {_name(group)}", group) for group in report.groups if group.slice),
        ),
        Sheet(
            "In the shadow, on the same answers",
            "By how much a shadow's figures are higher than those of the version that answered.",
            headings=("versions", "rows", "AUC higher by", "average precision higher by"),
            rows=tuple(_beside(each) for each in report.beside),
        ),
        Sheet(
            "What was looked at",
            f"Days without an answer that could be judged: {', '.join(report.empty_days) or 'none'}.",
            headings=("answers", "how many"),
            rows=tuple((name.replace("_", " "), f"{n:,}") for name, n in report.counts),
        ),
    ]
    shown = [sheet for sheet in sheets if sheet.rows or sheet.charts or sheet is sheets[0]]
    return render(f"{report.system}: performance by complete labels", report, shown)


def estimated_page(report: EstimatedReport, watching: Watching) -> bytes:
    """What scores make likely, and how right that was."""
    names = ("auc", "average_precision", "precision", "recall", "accuracy")
    now = [part for part in report.parts if part.day is None]
    days = [part for part in report.parts if part.day]
    heads = ("AUC", "average precision", "precision", "recall", "accuracy")
    sheets = [
        Sheet(
            "Versions, over the last days",
            "What figures of the last days' answers probably are, whether their labels came or not. A band is three "
            "sampling errors to each side.",
            headings=("version", "rows", "learnt from", *heads),
            rows=tuple(
                (
                    _named(f"version {part.model_version}", part.no_verdict),
                    f"{part.rows:,}",
                    (f"{part.reference_rows:,}", f"scores {CALIBRATED[part.calibration]}"),
                    *(_figure(part.figures.get(name)) for name in names),
                )
                for part in now
            ),
        ),
        Sheet(
            "Day by day",
            "Dots with lines: what was estimated by what was known at the end of the day. Diamonds: what came true.",
            charts=tuple(_estimated_charts(days, watching)),
        ),
        Sheet(
            "How far estimates were from the truth",
            "Mean distance over the days whose labels are complete.",
            headings=("version", *heads),
            rows=tuple(
                (f"version {version}", *(f"{own[name]:.3f}" if name in own else "–" for name in names))
                for version, own in report.mean_error.items()
            ),
        ),
    ]
    shown = [sheet for sheet in sheets if sheet.rows or sheet.charts or sheet is sheets[0]]
    return render(f"{report.system}: estimated performance", report, shown)


def _name(group: Group) -> str:
    return f"version {group.model_version}" + (" (shadow)" if group.shadow else "")


def _row(name: str, group: Group) -> Sequence[Cell]:
    figures = (_figure(group.figures.get(each)) for each in TABLED)
    return (_named(name, group.no_verdict), (f"{group.rows:,}", f"{group.positives:,} positive"), *figures)


def _named(name: str, no_verdict: str) -> Cell:
    return (name, f"no verdict: {no_verdict}") if no_verdict else name


def _figure(figure: Figure | Estimate | None) -> Cell:
    if figure is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f}", f"{figure.low:.3f}–{figure.high:.3f}"


def _beside(each: Beside) -> Sequence[Cell]:
    found = (each.differences.get(name) for name in ("auc", "average_precision"))
    gains = ("–" if d is None else (f"{d.difference:+.4f}", f"{d.low:+.4f} to {d.high:+.4f}") for d in found)
    names = f"version {each.model_version} beside {each.champion}"
    return (_named(names, each.no_verdict), (f"{each.rows:,}", f"{each.positives:,} positive"), *gains)


def _charts(days: Sequence[Group], baselines: Mapping[str, Mapping[str, float]], watching: Watching) -> Iterator[str]:
    for name, up in DRAWN.items():
        lines: dict[str, list[DayFigure]] = {}
        for group in days:
            if group.day and (figure := group.figures.get(name)):
                found = DayFigure(date.fromisoformat(group.day), figure.value, figure.low, figure.high)
                lines.setdefault(_name(group), []).append(found)
        levels = {f"own evaluation of version {v}": own[name] for v, own in baselines.items() if name in own}
        if lines:
            yield by_day(f"day-{name}", f"{up} by day", up, lines, levels=levels | _minimum(name, watching))


def _estimated_charts(days: Sequence[EstimatedPart], watching: Watching) -> Iterator[str]:
    for name, up in DRAWN.items():
        lines: dict[str, list[DayFigure]] = {}
        truths: dict[str, list[DayFigure]] = {}
        for part in days:
            if part.day and (figure := part.figures.get(name)):
                at, label = date.fromisoformat(part.day), f"version {part.model_version}"
                lines.setdefault(label, []).append(DayFigure(at, figure.value, figure.low, figure.high))
                if name in part.realised:
                    truths.setdefault(label, []).append(DayFigure(at, part.realised[name]))
        if lines:
            yield by_day(f"estimated-{name}", f"{up} by day, estimated", up, lines, truths, _minimum(name, watching))


def _minimum(name: str, watching: Watching) -> dict[str, float]:
    return {"alert below": watching.min_auc} if name == "auc" else {}

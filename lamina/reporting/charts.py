"""The report's charts, each as inline SVG text: light, one accent, readable in print. Needs matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ParamSpec

from lamina.reporting.page import Bars, Chart, PrecisionRecall, Roc
from lamina.reporting.results import Freshness, Latency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1d2939", "#667085", "#e4e7ec"
ACCENT, SOFT, WARM = "#1f6feb", "#9ec5fe", "#d9730d"
TONES = {"good": "#2f9e63", "careful": "#e0a100", "bad": "#d1453b"}
ANSWER_COLOURS = {"decided": SOFT, "refused": MUTED, "failed": TONES["bad"]}
ANSWER_ORDER = {"decided": 0, "refused": 2, "failed": 3}
Arguments = ParamSpec("Arguments")

PERCENTILES = (("p50_ms", "P50", 0.30), ("p95_ms", "P95", 0.52), ("p99_ms", "P99", 0.76), ("p999_ms", "P99.9", 1.0))

STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def _styled(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """`draw`, under this module's style; the caller's own settings come back afterwards."""

    @wraps(draw)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        import matplotlib as mpl

        with mpl.rc_context(dict(STYLE)):
            return draw(*args, **kwargs)

    return styled


def draw(chart: Chart) -> str:
    """Any chart of a system's own sections."""
    match chart:
        case PrecisionRecall():
            return precision_recall(chart)
        case Roc():
            return roc(chart)
        case Bars():
            return bars(chart)


@_styled
def precision_recall(chart: PrecisionRecall) -> str:
    """Precision over recall, with the share of positives among the rows as the line that guessing reaches."""
    figure, axes = _axes(5.2, 3.6)
    recall, precision = zip(*chart.points, strict=True)
    axes.fill_between(recall, precision, step="post", color=SOFT, alpha=0.35, linewidth=0)
    axes.step(recall, precision, where="post", color=ACCENT, linewidth=1.8)
    axes.axhline(chart.share, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    guessing = f"guessing: {chart.share:.2%}"
    axes.annotate(guessing, (0.02, chart.share), xytext=(0, 5), textcoords="offset points", color=MUTED)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    return _svg(figure, "pr", "Precision over recall")


@_styled
def roc(chart: Roc) -> str:
    """Recall over the false positive rate, on a logarithmic axis: what matters happens below one percent."""
    figure, axes = _axes(5.2, 3.6)
    points = [(max(x, 1e-5), y) for x, y in chart.points]
    axes.step(*zip(*points, strict=True), where="post", color=ACCENT, linewidth=1.8)
    axes.axvline(0.001, color=WARM, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate("0.1 %", (0.001, 0.02), xytext=(4, 0), textcoords="offset points", color=WARM)
    axes.set(xscale="log", xlim=(1e-5, 1), ylim=(0, 1.02), xlabel="false positive rate", ylabel="recall")
    return _svg(figure, "roc", "Recall over false positive rate")


@_styled
def latency(times: Latency) -> str:
    """Percentiles of the client's time and of every stage of the server, on one logarithmic axis of milliseconds."""
    rows = [times.client, *times.stages]
    figure, axes = _axes(10.6, 0.95 + 0.4 * len(rows))
    for place, row in enumerate(rows):
        values = [max(float(getattr(row, key)), 1e-3) for key, _, _ in PERCENTILES]
        axes.plot([values[0], values[-1]], [place, place], color=SOFT, linewidth=3, solid_capstyle="round", zorder=1)
        for value, (_, label, alpha) in zip(values, PERCENTILES, strict=True):
            axes.scatter(value, place, s=52, color=_blend(alpha), zorder=2, label=label if place == 0 else None)
    if times.target:
        targets = [float(getattr(times.target, key)) for key, _, _ in PERCENTILES]
        axes.scatter(targets, [0] * 4, marker="|", s=190, color=WARM, linewidths=1.6, zorder=3, label="aimed at")
    axes.set(xscale="log", xlabel="milliseconds", yticks=range(len(rows)), yticklabels=[row.name for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.xaxis.set_major_formatter(_plain)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.legend(
        ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0), handletextpad=0.2, columnspacing=1.4, borderaxespad=0.1
    )
    return _svg(figure, "latency", "Latency percentiles by stage")


@_styled
def freshness(found: Freshness) -> str:
    """How many events took how long to become readable, and the share that was readable by then."""
    figure, axes = _axes(10.6, 3.2)
    edges, counts = found.edges_ms, found.counts
    widths = [right - left for left, right in pairwise(edges)]
    axes.bar(edges[:-1], counts, width=widths, align="edge", color=SOFT, edgecolor="white", linewidth=0.6)
    axes.set(
        xlabel="milliseconds from the event on Kafka to readable features", ylabel="events", xlim=(edges[0], edges[-1])
    )
    axes.xaxis.set_major_formatter(_plain)
    axes.yaxis.set_major_formatter(_plain)
    share = axes.twinx()
    total, so_far, shares = sum(counts) or 1, 0, [0.0]
    for count in counts:
        so_far += count
        shares.append(so_far / total)
    share.plot(edges, shares, color=ACCENT, linewidth=1.8)
    share.set(ylim=(0, 1.02), ylabel="share readable")
    share.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    share.grid(visible=False)
    share.spines["top"].set_visible(False)
    for value, label in ((found.percentiles.p50_ms, "P50"), (found.percentiles.p99_ms, "P99")):
        if edges[0] <= value <= edges[-1]:
            share.axvline(value, color=WARM, linewidth=1, linestyle=(0, (4, 3)))
            share.annotate(label, (value, 0.5), xytext=(4, 0), textcoords="offset points", color=WARM)
    return _svg(figure, "freshness", "Freshness of features")


@_styled
def bars(chart: Bars, *, limit: int = 12) -> str:
    """One horizontal bar a key, most first, with its count and share; what is beyond `limit` becomes one bar."""
    ordered = sorted(chart.counts.items(), key=lambda item: -item[1])
    if len(ordered) > limit:
        ordered = [
            *ordered[: limit - 1],
            (f"{len(ordered) - limit + 1} others", sum(n for _, n in ordered[limit - 1 :])),
        ]
    total = sum(chart.counts.values()) or 1
    figure, axes = _axes(4.9, 0.45 + 0.34 * max(len(ordered), 3))
    colours = [TONES[chart.tones[key]] if key in chart.tones else ACCENT for key, _ in ordered]
    axes.barh(range(len(ordered)), [n for _, n in ordered], height=0.62, color=colours)
    for place, (_, n) in enumerate(ordered):
        text = f"{n:,}  ({n / total:.1%})"
        axes.annotate(text, (n, place), xytext=(5, 0), textcoords="offset points", va="center", color=MUTED)
    axes.set(yticks=range(len(ordered)), yticklabels=[key for key, _ in ordered], xticks=[])
    axes.set_xlim(0, max((n for _, n in ordered), default=1) * 1.38 or 1)
    axes.set_ylim(max(len(ordered), 3) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK)
    return _svg(figure, chart.name, chart.title)


@_styled
def over_time(
    name: str,
    title: str,
    at_s: Sequence[float],
    answers: Mapping[str, Sequence[float]],
    waited_ms: Mapping[str, Sequence[float]],
    disturbed_s: tuple[float, float],
) -> str:
    """What was answered, stacked, and below how long it took, from `at_s` on, with the disturbance shaded.

    Args: answers: a second, by what they were; waited_ms: by percentile, NaN where nothing was answered.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.6, 4.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    kinds = sorted(answers, key=lambda kind: (ANSWER_ORDER.get(kind.partition("_")[0], 1), kind))
    step = at_s[1] - at_s[0] if len(at_s) > 1 else 1.0
    base = [0.0] * len(at_s)
    for kind in kinds:
        colour = ANSWER_COLOURS.get(kind.partition("_")[0], WARM)
        above.bar(at_s, answers[kind], bottom=base, width=step, align="edge", color=colour, label=kind)
        base = [low + more for low, more in zip(base, answers[kind], strict=True)]
    for (label, values), colour in zip(waited_ms.items(), (ACCENT, WARM), strict=False):
        below.plot([at + step / 2 for at in at_s], values, color=colour, linewidth=1.6, label=label)
    above.set(ylabel="answers a second")
    below.set(yscale="log", ylabel="milliseconds", xlabel="seconds")
    below.yaxis.set_major_formatter(_plain)
    below.yaxis.set_minor_formatter("")
    for axes in (above, below):
        axes.axvspan(*disturbed_s, color=GRID, alpha=0.6, linewidth=0, zorder=0)
        axes.set_xlim(at_s[0], at_s[-1] + step)
        axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, columnspacing=1.4)
    return _svg(figure, name, title)


@_styled
def sizes(
    name: str,
    title: str,
    at_s: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    marks_s: Sequence[float],
) -> str:
    """Sizes in MiB from `at_s` on, a line each, named at its end; `marks_s`: thin lines where something happened."""
    figure, axes = _axes(10.6, 3.6)
    for at in marks_s:
        axes.axvline(at, color=MUTED, linewidth=0.8, alpha=0.6, linestyle=":", zorder=0)
    palette = (ACCENT, WARM, *TONES.values(), SOFT, MUTED, INK)
    for i, (label, values) in enumerate(series.items()):
        known = [float("nan") if value is None else value for value in values]
        axes.plot(
            at_s,
            known,
            color=palette[i % len(palette)],
            linewidth=1.6,
            label=label,
            linestyle="-" if i < len(palette) else "--",
        )
    axes.set(ylabel="MiB", xlabel="seconds", ylim=(0, None), xlim=(at_s[0], max(at_s[-1], at_s[0] + 1)))
    axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, columnspacing=1.4)
    return _svg(figure, name, title)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure, salt: str, title: str) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    # Element ids are hashed with the salt: two charts on one page must not share any.
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    # Inline: no prolog, no fixed size, the page's own font, and a name for those who listen to the page.
    text = text[text.index("<svg") :]
    head, _, rest = text.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    rest = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font-size: \1px", rest)
    return head.replace("<svg", f'<svg role="img" aria-label="{escape(title, quote=True)}"', 1) + ">" + rest


def _plain(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _blend(share: float) -> str:
    """The accent mixed with white: 1 is the accent, 0 is white."""
    parts = (int(ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)

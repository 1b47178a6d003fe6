"""The charts of the report of a run, each as inline SVG text. Needs matplotlib."""

from __future__ import annotations

from itertools import cycle, pairwise

from lamina.reporting.drawing import ACCENT, INK, MUTED, SOFT, TONES, WARM, axes_of, plain, styled, svg
from lamina.reporting.page import Bars, Chart, Lines, PrecisionRecall, Roc
from lamina.reporting.results import Freshness, Latency

PERCENTILES = (("p50_ms", "P50", 0.30), ("p95_ms", "P95", 0.52), ("p99_ms", "P99", 0.76), ("p999_ms", "P99.9", 1.0))


def draw(chart: Chart) -> str:
    """Any chart of a system's own sections."""
    match chart:
        case PrecisionRecall():
            return precision_recall(chart)
        case Roc():
            return roc(chart)
        case Bars():
            return bars(chart)
        case Lines():
            return lines(chart)


@styled
def precision_recall(chart: PrecisionRecall) -> str:
    """Precision over recall, with the share of positives among the rows as the line that guessing reaches."""
    figure, axes = axes_of(5.2, 3.6)
    recall, precision = zip(*chart.points, strict=True)
    axes.fill_between(recall, precision, step="post", color=SOFT, alpha=0.35, linewidth=0)
    axes.step(recall, precision, where="post", color=ACCENT, linewidth=1.8)
    axes.axhline(chart.share, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    guessing = f"guessing: {chart.share:.2%}"
    axes.annotate(guessing, (0.02, chart.share), xytext=(0, 5), textcoords="offset points", color=MUTED)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    return svg(figure, "pr", "Precision over recall")


@styled
def roc(chart: Roc) -> str:
    """Recall over the false positive rate; on a logarithmic axis where what matters happens below one percent."""
    figure, axes = axes_of(5.2, 3.6)
    smallest = 1e-5 if chart.is_rare else 0.0
    points = [(max(x, smallest), y) for x, y in chart.points]
    axes.step(*zip(*points, strict=True), where="post", color=ACCENT, linewidth=1.8)
    if chart.is_rare:
        axes.axvline(0.001, color=WARM, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate("0.1 %", (0.001, 0.02), xytext=(4, 0), textcoords="offset points", color=WARM)
        axes.set_xscale("log")
    else:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate("guessing", (0.55, 0.5), color=MUTED)
    axes.set(xlim=(smallest, 1), ylim=(0, 1.02), xlabel="false positive rate", ylabel="recall")
    return svg(figure, "roc", "Recall over false positive rate")


@styled
def lines(chart: Lines) -> str:
    """Shares over whole numbers, a line each with its name above."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure, axes = axes_of(5.2, 3.6)
    for (label, points), colour in zip(chart.lines.items(), cycle((ACCENT, WARM, *TONES.values())), strict=False):
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.8, marker="o", markersize=4, label=label)
    axes.set(xlabel=chart.across, ylabel=chart.up, ylim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, columnspacing=1.4)
    return svg(figure, chart.name, chart.title)


@styled
def latency(times: Latency) -> str:
    """Percentiles of the client's time and of every stage of the server, on one logarithmic axis of milliseconds."""
    rows = [times.client, *times.stages]
    figure, axes = axes_of(10.6, 0.95 + 0.4 * len(rows))
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
    axes.xaxis.set_major_formatter(plain)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.legend(
        ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0), handletextpad=0.2, columnspacing=1.4, borderaxespad=0.1
    )
    return svg(figure, "latency", "Latency percentiles by stage")


@styled
def freshness(found: Freshness) -> str:
    """How many events took how long to become readable, and the share that was readable by then."""
    figure, axes = axes_of(10.6, 3.2)
    edges, counts = found.edges_ms, found.counts
    widths = [right - left for left, right in pairwise(edges)]
    axes.bar(edges[:-1], counts, width=widths, align="edge", color=SOFT, edgecolor="white", linewidth=0.6)
    axes.set(
        xlabel="milliseconds from the event on Kafka to readable features", ylabel="events", xlim=(edges[0], edges[-1])
    )
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_formatter(plain)
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
    return svg(figure, "freshness", "Freshness of features")


@styled
def bars(chart: Bars, *, limit: int = 12) -> str:
    """One horizontal bar a key, most first, with its count and share; what is beyond `limit` becomes one bar."""
    ordered = sorted(chart.counts.items(), key=lambda item: -item[1])
    if len(ordered) > limit:
        ordered = [
            *ordered[: limit - 1],
            (f"{len(ordered) - limit + 1} others", sum(n for _, n in ordered[limit - 1 :])),
        ]
    total = sum(chart.counts.values()) or 1
    figure, axes = axes_of(4.9, 0.45 + 0.34 * max(len(ordered), 3))
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
    return svg(figure, chart.name, chart.title)


def _blend(share: float) -> str:
    """The accent mixed with white: 1 is the accent, 0 is white."""
    parts = (int(ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)

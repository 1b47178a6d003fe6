"""Charts of what went on over seconds, each as inline SVG text. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lamina.reporting.drawing import ACCENT, GRID, INK, MUTED, SOFT, TONES, WARM, axes_of, plain, styled, svg

ANSWER_COLOURS = {"decided": SOFT, "refused": MUTED, "failed": TONES["bad"]}
ANSWER_ORDER = {"decided": 0, "refused": 2, "failed": 3}


@styled
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
    below.yaxis.set_major_formatter(plain)
    below.yaxis.set_minor_formatter("")
    for axes in (above, below):
        axes.axvspan(*disturbed_s, color=GRID, alpha=0.6, linewidth=0, zorder=0)
        axes.set_xlim(at_s[0], at_s[-1] + step)
        axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, columnspacing=1.4)
    return svg(figure, name, title)


@styled
def sizes(
    name: str,
    title: str,
    at_s: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    marks_s: Sequence[float],
) -> str:
    """Sizes in MiB from `at_s` on, a line each, named at its end; `marks_s`: thin lines where something happened."""
    figure, axes = axes_of(10.6, 3.6)
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
    return svg(figure, name, title)

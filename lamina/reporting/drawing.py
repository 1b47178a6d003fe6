"""How the report's charts look, and how one becomes inline SVG: light, one accent, readable in print."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from functools import wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1d2939", "#667085", "#e4e7ec"
ACCENT, SOFT, WARM = "#1f6feb", "#9ec5fe", "#d9730d"
TONES = {"good": "#2f9e63", "careful": "#e0a100", "bad": "#d1453b"}
Arguments = ParamSpec("Arguments")

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


def styled(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """`draw`, under this module's style; the caller's own settings come back afterwards."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        import matplotlib as mpl

        with mpl.rc_context(dict(STYLE)):
            return draw(*args, **kwargs)

    return drawn


def axes_of(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of that many inches with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def svg(figure: Figure, salt: str, title: str) -> str:
    """The figure as SVG text; `salt` is its own on the page, `title` what it is called to those who listen."""
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


def plain(value: float, _: object = None) -> str:
    """A number on an axis: thousands apart, fractions as they are."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"

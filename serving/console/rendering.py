"""Templates to HTML. Everything is escaped unless a template says otherwise, and none does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent


def _time(at_ms: int | None) -> str:
    """A time in epoch milliseconds for people, UTC.

    >>> _time(1_735_689_600_000)
    '2025-01-01 00:00:00'
    """
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(value: object) -> str:
    """A number as people read it, anything else as it is.

    >>> _number(1234.5678), _number(0.01234567), _number(3), _number(None)
    ('1,234.57', '0.01235', '3', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


def _figure(value: float | None) -> str:
    """A share, a distance or a loss, to the thousandth.

    >>> _figure(0.91), _figure(None)
    ('0.910', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def _words(name: str) -> str:
    """A name of the code as people read it.

    >>> _words("average_precision"), _words("auc")
    ('average precision', 'AUC')
    """
    return "AUC" if name == "auc" else name.replace("_", " ")


TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
TEMPLATES.filters |= {"time": _time, "number": _number, "figure": _figure, "words": _words}


def render(template: str, **values: Any) -> str:
    """The HTML of a template."""
    return TEMPLATES.get_template(template).render(**values)

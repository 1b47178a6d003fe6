"""What a dashboard is made of: panels, each of some expressions."""

from __future__ import annotations

from dataclasses import dataclass

OWN = 'system=~"$system"'
"""The systems that are chosen at the top of a dashboard."""


@dataclass(frozen=True)
class Query:
    """An expression and the name of each line that it gives."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture. `unit` is Grafana's name of one; `kind` its name of a kind of panel."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    """One page, about one kind of question."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    by_system: bool = True


def quantiles(histogram: str, by: str, match: str = "", *shares: float) -> tuple[Query, ...]:
    """Quantiles of a histogram, a line for each and each value of the label `by`."""
    labels = f"{by}, le" if by else "le"
    chosen = f"{{{match}}}" if match else ""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{chosen}[$__rate_interval])))",
            " ".join(filter(None, (f"{{{{{by}}}}}" if by else "", f"P{share * 100:g}"))),
        )
        for share in shares
    )


def rates(counter: str, by: str, match: str = "") -> tuple[Query, ...]:
    """What a counter counts, a second, a line for each value of the labels `by`."""
    chosen = f"{{{match}}}" if match else ""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return (Query(f"sum by ({by}) (rate({counter}{chosen}[$__rate_interval]))", legend),)

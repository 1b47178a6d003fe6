"""The report of a run as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lamina.reporting import charts
from lamina.reporting.page import Headline, Page, Tone
from lamina.reporting.results import DemoResults, Figure, Hop

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Where the templates of all pages are read from; every text is escaped unless it is markup."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(results: DemoResults, page: Page) -> str:
    """The page, with the sections that every run has and those of `page`.

    Every text in both is escaped; the only markup that is not is the charts' own.
    """
    templates = environment()
    templates.filters.update(
        drawn=lambda chart: Markup(charts.draw(chart)),
        figure=figure,
        ms=milliseconds,
        seconds=duration,
        signed=signed,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    return templates.get_template("report.html.j2").render(
        r=results,
        page=page,
        headlines=headlines(results, page),
        paths=paths(results),
        charts=_charts(results),
        longest_s=max((stage.seconds for stage in results.stages), default=0) or 1,
        parity_totals=parity_totals(results),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
    )


def write(results: DemoResults, page: Page, path: Path) -> Path:
    """Write the page to `path`, and the results beside it as JSON; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(results, page), encoding="utf-8")
    path.with_suffix(".json").write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path


def headlines(results: DemoResults, page: Page) -> list[Headline]:
    """What is read first: losses, agreement, the system's own, speed, freshness. What was not run has no headline."""
    found = [Headline("rows lost", f"{results.lost:,}", f"over {len(results.hops)} hops", _tone(results.lost))]
    if results.parity is not None:
        compared, stale = (sum(getattr(feature, n) for feature in results.parity) for n in ("compared", "stale"))
        note = f"of {compared:,} values; {stale:,} stale"
        found.append(Headline("feature mismatches", f"{results.wrong:,}", note, _tone(results.wrong)))
    found += [section.headline for section in page.sections if section.headline]
    if results.latency:
        client = results.latency.client
        note = f"P50 {milliseconds(client.p50_ms)} at {results.latency.rate_per_s:,.0f}/s"
        found.append(Headline(f"{page.answer}, P99", milliseconds(client.p99_ms), note))
    if results.freshness:
        times = results.freshness.percentiles
        found.append(Headline("freshness, P99", milliseconds(times.p99_ms), f"P50 {milliseconds(times.p50_ms)}"))
    return found


def paths(results: DemoResults) -> list[tuple[str, list[Hop]]]:
    """The hops of each path, both in the order given."""
    found: dict[str, list[Hop]] = {}
    for hop in results.hops:
        found.setdefault(hop.path, []).append(hop)
    return list(found.items())


def parity_totals(results: DemoResults) -> dict[str, int]:
    """Sums over all features; empty when there was no comparison."""
    if not results.parity:
        return {}
    names = ("compared", "match", "stale", "mismatch", "missing", "extra")
    return {name: sum(getattr(feature, name) for feature in results.parity) for name in names}


def _charts(results: DemoResults) -> dict[str, Markup]:
    # Markup is right here: matplotlib wrote it, and escapes the texts it is given.
    made: dict[str, str] = {}
    if results.latency:
        made["latency"] = charts.latency(results.latency)
    if results.freshness:
        made["freshness"] = charts.freshness(results.freshness)
    return {name: Markup(svg) for name, svg in made.items()}


def figure(value: Figure | None) -> str:
    """A figure as people read it: thousands apart, fractions to three places, text as it is.

    >>> figure(1234567), figure(0.86249), figure("7 days"), figure(None)
    ('1,234,567', '0.862', '7 days', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def milliseconds(value: float) -> str:
    """A time in milliseconds, in the unit that suits it.

    >>> milliseconds(0.42), milliseconds(27.31), milliseconds(640), milliseconds(1830)
    ('0.42 ms', '27.3 ms', '640 ms', '1.83 s')
    """
    if value >= 1000:
        return f"{value / 1000:,.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def duration(value: float) -> str:
    """A time in seconds, in the unit that suits it.

    >>> duration(3.21), duration(95), duration(612)
    ('3.2 s', '95 s', '10 min 12 s')
    """
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{int(value // 60)} min {int(value % 60)} s"


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.0181), signed(-0.2)
    ('+0.018', '−0.200')
    """
    return f"{'+' if value >= 0 else '−'}{abs(value):.3f}"


def _tone(wrong: int) -> Tone:
    return "good" if wrong == 0 else "bad"

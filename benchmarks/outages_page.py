"""The page of the outages: every scene over time, what was answered and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from benchmarks.outage_scenes import Seen
from benchmarks.report import Figure, commit, machine
from lamina.reporting import timelines
from lamina.reporting.report import TEMPLATES

BUCKET_S = 0.5
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outages under load</title><style>{{ style }}</style></head>
<body><main>
<header><h1>Outages under load</h1>
<p class="note">{{ figures.rate }} requests a second, open loop; {{ machine }}, commit {{ commit }}. Shaded: from the
begin of the disturbance to its end.</p></header>
{% for scene in scenes %}
<section><h2>{{ scene.title }}</h2>
<p class="note">{{ scene.text }}</p>
<figure>{{ scene.chart }}<figcaption>Above: answers a second by what they were. Below: how long they took.</figcaption>
</figure></section>
{% endfor %}
</main></body></html>
"""


def write_page(path: Path, seen: Sequence[Seen], figures: Mapping[str, Figure]) -> None:
    """Write the page to `path`."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(PAGE)
    scenes = [{"title": one.scene.title, "text": _text(one), "chart": Markup(_chart(one))} for one in seen]
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    path.write_text(
        page.render(scenes=scenes, figures=figures, style=style, machine=machine(), commit=commit()), encoding="utf-8"
    )


def _text(seen: Seen) -> str:
    prefix = f"{seen.scene.name}_"
    found = {name.removeprefix(prefix): value for name, value in seen.figures().items()}
    return (
        f"{found['requests']:,} requests: {found['failed']} failed, {found['degraded']:,} degraded, "
        f"{found['refused']:,} refused early, {found['dropped']:,} never sent; P99 meanwhile {found['p99_ms']} ms; "
        f"all as before {found['recovered_s']} s after its end."
    )


def _chart(seen: Seen) -> str:
    bucket = (seen.answers["at_s"] // BUCKET_S).astype(int)
    edges = range(int(bucket.max()) + 1)
    counts = seen.answers.groupby([bucket, "outcome"]).size().unstack(fill_value=0).reindex(edges, fill_value=0)
    waited = seen.answers.groupby(bucket)["waited_ms"]
    percentiles = {f"P{p}": waited.quantile(p / 100).reindex(edges, fill_value=np.nan).tolist() for p in (50, 99)}
    return timelines.over_time(
        seen.scene.name,
        seen.scene.title,
        [edge * BUCKET_S for edge in edges],
        {str(kind): (counts[kind] / BUCKET_S).tolist() for kind in counts.columns},
        percentiles,
        (seen.began_s, seen.ended_s),
    )

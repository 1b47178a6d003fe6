"""The page of the soak: what every part took over time, with its restarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from benchmarks.fire.sampler import JOURNAL, MEMORY, STORE, TOPIC, Sampler
from benchmarks.report import Figure, commit, machine
from lamina.reporting import timelines
from lamina.reporting.report import TEMPLATES

PARTS = {
    MEMORY: ("Memory of each process", "Resident, with its children."),
    STORE: ("Redis", "Memory that its data takes."),
    JOURNAL: ("The API's journal", "Bytes on disk; what Kafka has acknowledged is removed."),
    TOPIC: ("Topics", "Bytes on disk. Topics keep days, so they grow by what arrives."),
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Soak</title><style>{{ style }}</style></head>
<body><main>
<header><h1>Days, compressed, with rolling restarts</h1>
<p class="note">{{ figures.answered }} payments answered, {{ figures.events }} events on the topic, {{ figures.days }}
days;
lost {{ figures.lost }}, growth over the last half {{ figures.growth_mib }} MiB; {{ machine }}, commit {{ commit }}.
Dotted lines: a part was restarted.</p></header>
{% for part in parts %}
<section><h2>{{ part.title }}</h2>
<figure>{{ part.chart }}<figcaption>{{ part.text }}</figcaption></figure></section>
{% endfor %}
</main></body></html>
"""


def write_page(path: Path, sampler: Sampler, figures: Mapping[str, Figure]) -> None:
    """Write the page to `path`."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(PAGE)
    parts = []
    for kind, (title, text) in PARTS.items():
        series = {name: own for (of, name), own in sorted(sampler.series.items()) if of == kind}
        if series:
            chart = timelines.sizes(f"soak-{kind}", title, sampler.at_s, series, [at for at, _ in sampler.marks])
            parts.append({"title": title, "text": text, "chart": Markup(chart)})
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    path.write_text(
        page.render(parts=parts, figures=figures, style=style, machine=machine(), commit=commit()), encoding="utf-8"
    )

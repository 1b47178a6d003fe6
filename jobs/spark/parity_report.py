"""The parity report: counts per feature with examples, as JSON for programs and as one page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson

from jobs.spark.comparison import OUTCOMES
from lamina.contracts.features import FeatureSet
from lamina.lake import layout
from lamina.lake.write import open_lake

EXAMPLES = 3
"""Examples kept of each feature and outcome."""

TILES = 20
"""Tiles kept of each side of an example, the newest."""

# A constant, not a file: the job runs from a zip archive on a cluster.
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parity of {{ r.system }} on {{ r.date }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1d2330 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e3e6ec }
th:first-child, td:first-child, .text { text-align: left }
.verdict { font-size: 1.4rem; font-weight: 600 } .good { color: #17693b } .bad { color: #b3261e }
.zero { color: #a5acb8 } code { font-size: .9em } .note { color: #596273 }
</style>
</head>
<body>
<h1>Served against recomputed: {{ r.system }}, {{ r.date }}</h1>
<p class="verdict {{ 'bad' if r.mismatches else 'good' }}">
{%- if not r.compared %}No answer to compare
{%- elif r.mismatches %}{{ "{:,}".format(r.mismatches) }} of {{ "{:,}".format(r["values"]) }} values are not explained
{%- else %}0 of {{ "{:,}".format(r["values"]) }} values are unexplained{% endif %}</p>
<p class="note">Stale: an event was not readable yet when the answer was given; the value is right for those that
were. Early, part of stale: an event of the same tile, later than the request, was readable already. Mismatch: another
value from the same events. Missing: served as absent. Extra: served, though there should be none.</p>
<table>
<tr>{% for name in apart %}<th>{{ name | replace("_", " ") }}</th>{% endfor %}</tr>
<tr>{% for name in apart %}<td>{{ r[name] }}</td>{% endfor %}</tr>
</table>
<h2>By feature</h2>
<table>
<tr><th>feature</th><th>compared</th>{% for o in outcomes %}<th>{{ o }}</th>{% endfor %}<th>early</th>
<th>largest difference</th></tr>
{%- for f in r.features %}
<tr><td><code>{{ f.feature }}</code></td><td>{{ f.compared }}</td>
{%- for o in outcomes %}<td class="{{ 'zero' if not f[o] else 'bad' if o in unexplained }}">{{ f[o] }}</td>{% endfor -%}
<td class="{{ 'zero' if not f.early }}">{{ f.early }}</td>
<td>{{ "" if f.largest_difference is none else "%.6g" | format(f.largest_difference) }}</td></tr>
{%- endfor %}
</table>
<h2>Examples</h2>
{% if r.examples %}
<table>
<tr><th>feature</th><th class="text">outcome</th><th>served</th><th>recomputed</th><th>from readable events</th>
<th class="text">time (UTC)</th><th class="text">request</th></tr>
{%- for e in r.examples %}
<tr><td><code>{{ e.feature }}</code></td><td class="text">{{ "early" if e.early else e.outcome }}</td>
<td>{{ e.served }}</td><td>{{ e.expected }}</td><td>{{ "" if e.readable is none else e.readable }}</td>
<td class="text">{{ e.at_utc }}</td>
<td class="text"><code>{{ e.request_id }}</code></td></tr>
{%- if e.tiles %}
<tr><td colspan="7" class="text note">
{%- for name, tiles in e.tiles.items() %}{{ name }}: {{ tiles | map("join", " &times; " | safe) | list | join(", ") }}
{%- if not loop.last %}<br>{% endif %}{% endfor %}</td></tr>
{%- endif %}
{%- endfor %}
</table>
{% else %}<p class="note">No value differs.</p>{% endif %}
</body>
</html>
"""
APART = ("answers", "compared", "without_features", "without_request", "other_definitions", "repeated")
UNEXPLAINED = ("mismatch", "missing", "extra")


def make_report(
    features: FeatureSet,
    day: date,
    answers: Mapping[str, int],
    counted: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The report as data. `mismatches` is what lateness does not explain: mismatch, missing and extra.

    Args: answers: how many there were, and how many were left out, by cause; counted: `feature`, `outcome`, `n`,
        `early`, `largest`; examples: values as JSON.
    """
    found: dict[str, dict[str, Any]] = {n: _empty(n) for n in features.names}
    for row in counted:
        feature = found.setdefault(row["feature"], _empty(row["feature"]))
        feature[row["outcome"]] = int(row["n"])
        feature["early"] += int(row["early"] or 0)
        if row["largest"] is not None:
            feature["largest_difference"] = max(row["largest"], feature["largest_difference"] or 0.0)
    for feature in found.values():
        feature["compared"] = sum(feature[o] for o in OUTCOMES)
    total = {o: sum(f[o] for f in found.values()) for o in (*OUTCOMES, "early")}
    return {
        "system": features.system,
        "date": day.isoformat(),
        **{name: answers.get(name, 0) for name in APART},
        "values": sum(f["compared"] for f in found.values()),
        **total,
        "mismatches": sum(total[o] for o in UNEXPLAINED),
        "features": list(found.values()),
        "examples": [_example(e) for e in sorted(examples, key=lambda e: (e["outcome"] == "stale", e["feature"]))],
    }


def render(report: Mapping[str, Any]) -> str:
    """The report as one page that needs nothing from elsewhere; every text in it is escaped."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE)
    return page.render(r=report, outcomes=OUTCOMES, apart=APART, unexplained=UNEXPLAINED)


def write_report(lake: str, report: Mapping[str, Any]) -> str:
    """Write `report.json` and `report.html`; returns where the page is."""
    url = layout.parity(lake, report["system"], date.fromisoformat(report["date"]))
    fs, folder = open_lake(url)
    fs.makedirs(folder, exist_ok=True)
    fs.pipe_file(f"{folder}/report.json", orjson.dumps(report, option=orjson.OPT_INDENT_2))
    fs.pipe_file(f"{folder}/report.html", render(report).encode())
    return f"{url}/report.html"


def _empty(name: str) -> dict[str, Any]:
    return {"feature": name, **dict.fromkeys(OUTCOMES, 0), "early": 0, "largest_difference": None}


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "feature": row["feature"],
        "outcome": row["outcome"],
        "early": row["early"],
        **{n: orjson.loads(row[n]) for n in ("served", "expected", "readable")},
        "at_utc": _utc(row["at_ms"]),
        "tiles": _tiles(row["tiles"]),
        "request_id": row["request_id"],
    }


def _tiles(text: str | None) -> dict[str, list[list[str | int]]] | None:
    """The tiles behind an example, start and events of each, as far as they fit on a page: the newest."""
    found = orjson.loads(text) if text else None
    if found is None:
        return None
    return {
        f"{name}, {len(tiles)} tiles": [[_utc(start), n] for start, n in tiles[-TILES:]]
        for name, tiles in zip(("readable", "recomputed"), found, strict=True)
    }


def _utc(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")

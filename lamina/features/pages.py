"""A page of documentation for each feature view, made from its definition: `lamina features docs` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from typing import get_args

from lamina.contracts.aggregates import Aggregate, AggregateKind
from lamina.contracts.derived import Made, default_in_words
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    FeatureSet,
    FeatureView,
    Layers,
    Membership,
    Ratio,
    WindowFeature,
)
from lamina.definitions import load, system_names
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT

FOLDER = ROOT / "docs" / "features"
NOTE = "<!-- Made from the definitions by `lamina features docs`; changes belong there. -->"
MEANING: dict[str, str] = {
    "count": "number of events",
    "total": "sum of `{column}`, 0 of nothing",
    "mean": "mean of `{column}`",
    "minimum": "smallest `{column}`",
    "maximum": "largest `{column}`",
    "std": "population standard deviation of `{column}`",
    "first": "`{column}` of the oldest event",
    "last": "`{column}` of the newest event",
    "last_k": "`{column}` of the newest {k} events, newest first",
    "first_time": "time of the oldest event, epoch milliseconds",
    "last_time": "time of the newest event, epoch milliseconds",
    "distinct": "number of different values of `{column}`, exact up to {cap}, then within {error} (standard error)",
    "session_count": "number of events in the session that goes on, at most {gap} apart",
    "decayed_count": "number of events, one {half_life} ago counting half",
}


def meaning(aggregate: Aggregate) -> str:
    """An aggregate in words.

    >>> from lamina.contracts.aggregates import Predicate, count
    >>> meaning(count("frauds", where=Predicate("is_fraud", "=", True)))
    'number of events where `is_fraud = TRUE`'
    """
    words = MEANING[aggregate.kind].format(
        column=aggregate.column,
        k=aggregate.k,
        cap=aggregate.cap,
        error=f"{1 / sqrt(aggregate.cap - 2):.1%}" if aggregate.cap else "",
        gap=aggregate.gap.label if aggregate.gap else "",
        half_life=aggregate.half_life.label if aggregate.half_life else "",
    )
    return f"{words} where `{aggregate.where.sql()}`" if aggregate.where else words


def pages() -> dict[str, str]:
    """Every page by its file name: one a view of every system, and `index.md`."""
    found = {}
    rows = []
    for system in system_names():
        features = load(system)
        for view in features.views:
            found[f"{view.name}.md"] = page(features, view)
            names = ", ".join(f"`{f.name}`" for f in view.features)
            rows.append((system, f"[{view.name}]({view.name}.md)", view.entity.name, view.owner, names))
    table = _table(("system", "view", "entity", "owner", "features"), rows)
    found["index.md"] = f"{NOTE}\n# Feature views\n\n{table}\n"
    return found


def page(features: FeatureSet, view: FeatureView) -> str:
    """The page of one view."""
    plan = make_plan(features)
    tile_specs = dict.fromkeys(plan.tile_spec_of(f) for f in view.features)
    layers = "Spark and Flink" if view.layers == Layers.BOTH else "Spark alone"
    facts = (
        ("system", features.system),
        ("owner", view.owner),
        ("entity", f"{view.entity.name}, by `{view.entity.key}`"),
        ("source", f"`{view.source.name}`, topic `{view.source.topic}`, time `{view.source.timestamp}`"),
        ("kept by", layers),
        ("tiles", "; ".join(f"`{t.id}`, {t.resolution.label} each" for t in tile_specs)),
        ("version", str(view.version)),
        ("delay", view.delay.label if view.delay.s else "none"),
        ("stale after", view.stale_after.label if view.stale_after else "the default of its layers"),
        ("the request itself", "counts" if view.include_request else "is left out"),
    )
    inputs = set(features.model_features)
    rows = [(f"`{f.name}`", meaning(f.aggregate), _window(f), "yes" if f.name in inputs else "") for f in view.features]
    own = {f.name for f in view.features}
    made = [
        (f"`{m.name}`", meaning_of_made(m), "", "yes" if m.name in inputs else "")
        for m in features.made
        if own.intersection(features.with_parts([m.since if isinstance(m, Elapsed) else m.name]))
    ]
    columns = sorted({c for a in view.aggregates for c in (a.column, a.where and a.where.column) if c})
    read = ", ".join(f"`{c}` ({view.source.columns[c]})" for c in columns) or "none but key, id and time"
    return "\n".join(
        (
            NOTE,
            f"# {view.name}",
            "",
            _table(("", ""), facts),
            "",
            "## Features",
            "",
            _table(("feature", "meaning", "window", "model input"), [*rows, *made]),
            "",
            f"Columns read: {read}.",
            "",
            f"See it: `lamina features get {view.entity.name} ID --system {features.system} --explain`.",
            "",
        )
    )


def meaning_of_made(made: Made) -> str:
    """A feature that is made from others in words.

    >>> from lamina.contracts.features import Chosen, Membership
    >>> meaning_of_made(Chosen("watched", "category", {"comedy": "comedy_30d", "news": "news_30d"}))
    'by `category` of the request: comedy `comedy_30d`, news `news_30d`; missing for any other'
    >>> meaning_of_made(Membership("is_followed", "channel_id", "followed_90d"))
    '1 where `followed_90d` holds `channel_id` of the request, else 0'
    """
    match made:
        case Ratio():
            return f"`{made.numerator}` / `{made.denominator}`, {default_in_words(made.default)} of nothing"
        case Elapsed():
            return f"seconds since `{made.since}`" + (f" until `{made.until}`" if made.until else "")
        case Chosen():
            cases = ", ".join(f"{value} `{part}`" for value, part in made.of.items())
            return f"by `{made.column}` of the request: {cases}; {default_in_words(made.default)} for any other"
        case Membership():
            return f"1 where `{made.of}` holds `{made.column}` of the request, else 0"


def _window(feature: WindowFeature) -> str:
    view = feature.view
    delayed = f", ending {view.delay.label} before the request" if view.delay.s else ""
    return f"{feature.window.label}{delayed}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heading = tuple(headings)
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])


def write(folder: Path = FOLDER) -> list[str]:
    """Write every page, remove those of views that are gone; names of the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    changed = outdated(folder)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def outdated(folder: Path = FOLDER) -> list[str]:
    """Names of pages that are missing, too many or not what the definitions say."""
    wanted = pages()
    there = {p.name: p.read_text(encoding="utf-8") for p in folder.glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def undescribed() -> list[str]:
    """Kinds of aggregates that have no words yet."""
    return sorted(set(get_args(AggregateKind)) - set(MEANING))

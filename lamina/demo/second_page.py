"""The second act on the page of a run: what was lost, what told of it, and what gave it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from lamina.reporting.page import Headline, Lines, Measure, Picture, Section, Tone
from lamina.reporting.report import figure
from lamina.reporting.results import Repair, Span

CHANGED, TOLD = "The world changes", "What told of it"


def sections(found: Repair) -> tuple[Section, ...]:
    """What the page has of it."""
    return _changed(found), _told(found)


def _changed(found: Repair) -> Section:
    return Section(
        CHANGED,
        note=" ".join(_story(found)),
        measures=tuple(Measure(f"AUC {span.name}", _of(span), span.auc) for span in found.spans),
        pictures=tuple(_by_day(found)),
        headline=_headline(found),
    )


def _headline(found: Repair) -> Headline:
    label = f"AUC {', '.join(span.name for span in found.spans)}"
    values = " \N{RIGHTWARDS ARROW} ".join(figure(span.auc) for span in found.spans)
    note = f"version {found.replaced_by} took over" if found.replaced_by else "no other version took over"
    tone: Tone = "bad" if found.failures else "good" if found.replaced_by else "plain"
    return Headline(label, values, f"{note}, {figure(found.failures)} requests failed", tone)


def _story(found: Repair) -> Iterator[str]:
    yield f"From {found.since} on {found.changed}."
    yield (
        f"What is true of a request is known up to {found.label_days} days later, and no delay was shortened: the "
        f"story's clock went on to {found.asked + timedelta(hours=1):%Y-%m-%d %H:%M} UTC. Of the days between, "
        f"{figure(found.unposted)} requests were not posted: their events, and the answers that the version in service "
        "gives on features of the offline engine, were put into the lake where the archive puts them. The last day "
        "was posted."
    )
    if not found.run_id:
        yield "No retraining was asked for."
        return
    yield (
        f"The training {found.run_id} was asked for, and run while requests of the days after came in. The gate: "
        f"{found.outcome}."
    )
    answered = ", ".join(f"{figure(n)} by version {name}" for name, n in found.answered.items())
    yield f"Requests answered meanwhile and after: {answered}; {figure(found.failures)} failed."
    if not found.replaced_by:
        yield "The version that served goes on serving."


def _told(found: Repair) -> Section:
    at = f"{found.asked:%Y-%m-%d, %H:00} UTC"
    if not found.alerts:
        return Section(TOLD, note=f"The reports of {at} have no alert.")
    by_labels = sum(alert.by_labels for alert in found.alerts)
    note = (
        f"The reports of {at} have {figure(len(found.alerts))} alerts, {figure(by_labels)} of them by labels. Those "
        "alone speak of what was planted: in a system that is weeks old, features over long windows still grow from "
        "day to day, and are found to drift where nothing has changed."
    )
    if found.shown:
        note += f" Seen in {found.shown_by}: {', '.join(found.shown)}."
    ordered = sorted(found.alerts, key=lambda alert: not alert.by_labels)
    measures = (
        Measure(f"{each.name} of {each.subject}", f"{each.report}, {each.severity}: {each.message}", each.value)
        for each in ordered
    )
    return Section(TOLD, note=note, measures=tuple(measures))


def _of(span: Span) -> str:
    when = f"{span.first} to {span.last}" if span.first else "no day"
    sure = f", 95 %: {span.low:.3f} to {span.high:.3f}" if span.low is not None and span.high is not None else ""
    of = f"{figure(span.positives)} of {figure(span.rows)} requests are positive"
    return f"{when}, by version {', '.join(span.versions)}{sure}; {of}"


def _by_day(found: Repair) -> Iterator[Picture]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for span in found.by_day:
        if span.auc is not None and span.first is not None:
            lines.setdefault(f"version {span.versions[0]}", []).append(((span.first - found.since).days, span.auc))
    if lines:
        yield Picture(
            Lines("auc_by_day", "AUC by day", "days since the change", "AUC", lines),
            "By day",
            "By what the world knows, also of days whose labels are still to come. A day has few positive requests: "
            "chance has its say.",
        )

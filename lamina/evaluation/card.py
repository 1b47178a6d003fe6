"""The model card of a version, in Markdown: what it was made from, how good it is, for whom, and where it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from lamina.evaluation.metrics import FALSE_POSITIVE_LIMIT
from lamina.evaluation.problem import Problem, Words
from lamina.registry.evaluation import Evaluation, Slice
from lamina.scoring.trained_spec import TrainedSpec

FEW = 30
"""Figures of a slice with fewer positive rows say little."""

MANY_LATE = 0.05
"""Share of late labels from which on the test's figures suffer."""

SLICE_FIGURES = ("average_precision", "auc", "recall_at_fpr_001")


def model_card(
    problem: Problem, spec: TrainedSpec, slices: Sequence[Slice], evaluation: Evaluation | None = None
) -> str:
    """The card of the model of `spec`; with an `evaluation`, how it compared with the champion of that time."""
    words = problem.words
    parts = [
        f"# Model card: {spec.system}, {spec.logical_date}",
        f"{words.predicts}: {spec.made_of}.",
        "## Data",
        _data(spec, words),
        "## Figures on the test days",
        markdown_table(("figure", "value"), ((name, f"{value:.4f}") for name, value in spec.metrics.items())),
    ]
    for heading, text in problem.sections(spec):
        parts += [f"## {heading}", text]
    if evaluation is not None:
        parts += ["## Against the champion", _comparison(evaluation, words)]
    parts += ["## Slices", _slices(slices, words), "## Limits", _limits(spec, words), "## Inputs", _inputs(spec)]
    return "\n\n".join(parts) + "\n"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar in a cell becomes a slash.

    >>> markdown_table(("a", "b"), [("1", "x|y")]).splitlines()
    ['| a | b |', '| --- | --- |', '| 1 | x/y |']
    """
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _data(spec: TrainedSpec, words: Words) -> str:
    split, rows = spec.split, spec.rows
    facts = {
        "training days": f"{split.train_first} to {split.train_last}",
        "training rows": f"{rows.train:,} with {rows.train_positives:,} {words.positives}; {rows.used:,} used",
        f"{words.negative} rows kept": f"{spec.negatives_kept:.4g}",
        "test days": f"{split.test_first} to {split.test_last} ({split.kind} split)",
        "test rows": f"{rows.test:,} with {rows.test_positives:,} {words.positives}",
        "labels": f"known by the end of {spec.logical_date}; complete {split.delay_days} days after {words.row}"
        + ("" if rows.labels_late is None else f", {rows.labels_late:.1%} of the training days' took longer"),
        "days whose labels still arrive": _open_days(spec),
        "features": f"{len(spec.inputs)} inputs, fingerprint {spec.fingerprint}",
        "code": spec.git_commit,
        "libraries": ", ".join(f"{name} {version}" for name, version in spec.libraries.items()),
        "seed": str(spec.seed),
        "parameters": spec.parameters_from,
    }
    return markdown_table(("what", "which"), facts.items())


def _open_days(spec: TrainedSpec) -> str:
    first = spec.split.test_last + timedelta(days=1)
    return f"{first} to {spec.logical_date}, not used" if first <= spec.logical_date else "none"


def _comparison(found: Evaluation, words: Words) -> str:
    verdict = f"{'Promoted' if found.promote else 'Not promoted'}: {'; '.join(found.reasons)}."
    if found.candidate is None or found.champion is None:
        return verdict
    rows = []
    for name, value in found.candidate.metrics.items():
        was, interval = found.champion.metrics.get(name), found.differences.get(name)
        between = f"{interval.low:+.4f} to {interval.high:+.4f} ({interval.confidence:.0%})" if interval else ""
        rows.append((name, f"{value:.4f}", "" if was is None else f"{was:.4f}", between))
    heading = ("figure", f"version {found.candidate.version}", f"champion {found.champion.version}", "difference")
    on = f"On {found.rows:,} rows with {found.positives:,} {words.positives}:"
    return f"{verdict}\n\n{on}\n\n{markdown_table(heading, rows)}"


def _slices(slices: Sequence[Slice], words: Words) -> str:
    compared = any(part.champion for part in slices)
    heading = ["slice", "rows", words.positives, "true share", "mean score", *SLICE_FIGURES]
    heading += [f"champion's {name}" for name in SLICE_FIGURES] if compared else []
    rows = []
    for part in slices:
        few = " (few)" if part.positives < FEW else ""
        row = [part.name, f"{part.rows:,}", f"{part.positives:,}{few}"]
        row += [f"{part.candidate[name]:.4%}" for name in (f"{words.positive}_share", "score_mean")]
        for figures in (part.candidate, part.champion) if compared else (part.candidate,):
            row += [f"{figures[name]:.3f}" if name in figures else "" for name in SLICE_FIGURES]
        rows.append(row)
    return markdown_table(heading, rows)


def _limits(spec: TrainedSpec, words: Words) -> str:
    return "\n".join(
        (
            f"- It knows what was known of {spec.split.train_first} to {spec.split.train_last}. {words.unseen}",
            f"- {words.unreported}",
            f"- {' and '.join(f'`{name}`' for name in words.at_threshold)} hold at the threshold that flags "
            f"{FALSE_POSITIVE_LIMIT:.1%} of {words.negative} rows of this test; another week moves it.",
            f"- Slices with fewer than {FEW} {words.positives} are marked; their figures may be chance.",
            f"- {words.left_out}",
            *_about_decisions(spec, words),
        )
    )


def _about_decisions(spec: TrainedSpec, words: Words) -> Iterable[str]:
    """What own decisions and late labels keep it from knowing."""
    rows = spec.rows
    if rows.unknown:
        standing = f"{rows.let_through} let through by chance stand for them" if rows.let_through else "nothing does"
        yield (
            f"- {rows.unknown:,} {words.withheld} of the training days were left out, as nobody knows what they "
            f"were; {standing}."
        )
    if rows.labels_late is not None and rows.labels_late > MANY_LATE:
        yield (
            f"- {rows.labels_late:.1%} of the {words.positive} labels took longer than {spec.split.delay_days} days, "
            f"so the test days still hold {words.positives} that count as {words.negative}: raise `--delay-days`."
        )


def _inputs(spec: TrainedSpec) -> str:
    return "\n".join(f"- `{part.name}`: {part.meaning}" for part in spec.inputs)

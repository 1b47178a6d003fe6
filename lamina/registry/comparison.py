"""Two versions side by side, from the specs that lie beside their weights. Knows no system: a spec is a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MISSING = "-"


@dataclass(frozen=True)
class Comparison:
    """`rows`: what, in the first, in the second. `remarks`: what to keep in mind while reading them."""

    rows: tuple[tuple[str, str, str], ...]
    remarks: tuple[str, ...]


def compare_specs(first: str, second: str) -> Comparison:
    """What differs between two `spec.json`, given as texts, and every metric of both.

    >>> compare_specs('{"metrics": {"auc": 0.9}, "seed": 1}', '{"metrics": {"auc": 0.8}, "seed": 1}').rows
    (('metrics.auc', '0.9', '0.8'),)
    """
    documents = [json.loads(text) for text in (first, second)]
    left, right = (dict(_flat(_without_inputs(document))) for document in documents)
    names = [
        name for name in dict.fromkeys((*left, *right)) if name.startswith("metrics.") or _differ(name, left, right)
    ]
    rows = tuple((name, left.get(name, MISSING), right.get(name, MISSING)) for name in names)
    remarks = list(_inputs(*documents))
    if documents[0].get("split") != documents[1].get("split"):
        remarks.append(
            "Their figures are of different test days: evaluation.json compares a version on the champion's rows."
        )
    return Comparison(rows, tuple(remarks))


def _without_inputs(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "inputs"}


def _differ(name: str, left: Mapping[str, str], right: Mapping[str, str]) -> bool:
    return left.get(name) != right.get(name)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else name)
    else:
        yield path, f"{value:.6g}" if isinstance(value, float) else str(value)


def _inputs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    """In words: which inputs only one of them has, and which mean something else in each."""
    meanings = [{i["name"]: i["meaning"] for i in document.get("inputs", ())} for document in (first, second)]
    for which, ours, others in (("first", *meanings), ("second", *reversed(meanings))):
        if only := sorted(set(ours) - set(others)):
            yield f"Inputs of the {which} alone: {', '.join(only)}."
    both = set(meanings[0]) & set(meanings[1])
    if changed := sorted(name for name in both if meanings[0][name] != meanings[1][name]):
        yield f"Inputs of another meaning in each: {', '.join(changed)}."

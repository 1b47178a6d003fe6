"""Log lines and answers fit the mappings of their index templates: every field, by its type and not by what an engine
would make of it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from lamina.contracts.served import Candidate, ModelUsed, Served
from lamina.settings import ROOT
from serving.masking import REQUEST_ID, MaskingJsonFormatter
from tests.watching import MONITORING

EVENTS = ROOT / "tests/data/events"
INT_MAX = 2**31 - 1


def template(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / "opensearch" / f"{name}.json").read_text())
    return found


def misfits(document: dict[str, Any], mappings: dict[str, Any]) -> list[str]:
    """Paths of a document whose values have not the type that they are mapped to, or that are not mapped."""
    templates = [each for named in mappings.get("dynamic_templates", ()) for each in named.values()]
    return list(_misfits(document, mappings["properties"], templates, "", open_=False))


def _misfits(
    document: dict[str, Any], fields: dict[str, Any], templates: list[Any], prefix: str, *, open_: bool
) -> Any:
    for name, value in document.items():
        path = f"{prefix}{name}"
        mapping = fields.get(name)
        if mapping is None:
            mapping = next((t["mapping"] for t in templates if open_ and fnmatchcase(path, t["path_match"])), None)
            if mapping is None and not (open_ and isinstance(value, dict)):
                yield f"{path} is not mapped"
                continue
            mapping = mapping or {"type": "object", "dynamic": True}
        for each in value if isinstance(value, list) else [value]:
            kind = mapping.get("type", "object")
            if each is None:
                continue
            if kind in ("object", "nested"):
                if not isinstance(each, dict):
                    yield f"{path} is no object"
                elif mapping.get("enabled", True):
                    inner = mapping.get("properties", {})
                    yield from _misfits(each, inner, templates, f"{path}.", open_=bool(mapping.get("dynamic")))
            elif not _fits(kind, mapping, each):
                yield f"{path} is no {kind}"


def _fits(kind: str, mapping: dict[str, Any], value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "keyword" | "text":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "double":
            return number
        case "integer":
            return number and isinstance(value, int) and abs(value) <= INT_MAX
        case "long":
            return number and isinstance(value, int)
        case "date" if mapping["format"] == "epoch_millis":
            return number and isinstance(value, int)
        case "date" if mapping["format"] == "strict_date_optional_time":
            return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    return False


def lines() -> list[dict[str, Any]]:
    """What the API writes: a plain line, one of a request, and one with a traceback."""
    formatter, found = MaskingJsonFormatter(), []
    try:
        raise ValueError("4111 1111 1111 1111 was declined")
    except ValueError:
        failure = sys.exc_info()
    before = REQUEST_ID.set(None)
    for request, error in ((None, None), ("r-1", None), ("r-1", failure)):
        REQUEST_ID.set(request)
        record = logging.LogRecord("serving.stages.log", logging.ERROR, "f", 1, "%d events wait", (3,), error)
        found.append(json.loads(formatter.format(record)))
    REQUEST_ID.reset(before)
    return found


def test_every_line_that_the_api_writes_fits() -> None:
    mappings = template("logs")["template"]["mappings"]
    written = lines()
    assert [misfits(line, mappings) for line in written] == [[], [], []]
    assert set().union(*written) == set(mappings["properties"]), "and nothing is mapped that is never written"


@pytest.mark.parametrize("file", sorted(EVENTS.glob("served-v*.json")), ids=lambda file: file.stem)
def test_answers_as_they_are_on_the_topic_fit(file: Path) -> None:
    mappings = template("answers")["template"]["mappings"]
    answer = json.loads(file.read_text())
    assert misfits(answer, mappings) == []
    shadow = answer | {"shadow": True, "event_id": None, "action": None, "models": {}, "payload": {}}
    assert misfits(shadow, mappings) == []


def test_every_field_of_an_answer_is_mapped_and_no_other() -> None:
    properties = template("answers")["template"]["mappings"]["properties"]
    assert set(properties) == set(Served.model_fields)
    assert set(properties["candidates"]["properties"]) == set(Candidate.model_fields)
    assert set(ModelUsed.model_fields) == {"name", "version"}, "both are keywords, by a template"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"latency_ms": "fast"}, "latency_ms is no double"),
        ({"timestamp": "2018-08-14T00:00:00Z"}, "timestamp is no date"),
        ({"bucket": 2**40}, "bucket is no integer"),
        ({"stale": 0}, "stale is no boolean"),
        ({"outputs": {"score": "high"}}, "outputs.score is no double"),
        ({"candidates": [{"id": 7}]}, "candidates.id is no keyword"),
        ({"subjects": {"user": 7}}, "subjects.user is no keyword"),
        ({"since": 3}, "since is not mapped"),
    ],
)
def test_another_type_is_seen(change: dict[str, Any], said: str) -> None:
    mappings = template("answers")["template"]["mappings"]
    answer = json.loads((EVENTS / "served-v1.json").read_text())
    assert misfits(answer | change, mappings) == [said]


@pytest.mark.parametrize("name", ["logs", "answers"])
def test_what_a_later_version_adds_is_kept_and_not_refused(name: str) -> None:
    made = template(name)
    assert made["template"]["mappings"]["dynamic"] is False
    assert made["index_patterns"] == [f"lamina-{name}-*"]
    assert re.fullmatch(r"[A-Z].+", made["_meta"]["what"])

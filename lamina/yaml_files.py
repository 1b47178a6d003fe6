"""The one way YAML files are read: a key given twice is an error, and no message repeats what may be a secret."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from lamina.errors import LaminaError

# Names of anchors and tags are the file's own text, which may be a secret that was not quoted.
SIGNS = r"\1 that is not known: quote texts that begin with a sign"
_OF_THE_FILE = re.compile(r"(alias|anchor|tag|directive|character) .*", re.DOTALL)


def _no_truth(value: Any) -> Any:
    """Raise: ValueError: for `yes`, `on` and `true`, which would pass for 1, and `no` and `off`, for 0."""
    if isinstance(value, bool):
        raise ValueError("YAML reads this one as a truth value, which is no number")
    return value


YamlNumber = Annotated[float, BeforeValidator(_no_truth)]
"""A number of a file."""
YamlWhole = Annotated[int, BeforeValidator(_no_truth)]
"""A whole number of a file."""


class _Once(yaml.SafeLoader):
    """YAML's own loader takes the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            # Keys that a merge brings are meant to be overridden.
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                continue
            if key in seen:
                problem = f"key {key!r} is given twice, first in line {seen[key]}: only one of them can count"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen[key] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, error: type[LaminaError]) -> Any:
    """The content of the YAML file at `path`; None where it has none.

    Raises: error: when it cannot be read, is not YAML in UTF-8, or gives a key twice; names file, line and column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return yaml.load(text, _Once)
    except OSError as wrong:
        raise error(f"{path}: {wrong.strerror or wrong}") from None
    except UnicodeDecodeError as wrong:
        raise error(f"{path}: byte {wrong.start + 1} is not UTF-8: save the file as UTF-8") from None
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise error(f"{path}{place}: {_said(wrong.problem)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        # Values such as 2018-13-45, which look like a date and are none.
        raise error(f"{path}: {_said(str(wrong))}") from None


def sentence(error: Mapping[str, Any]) -> str:
    """What pydantic says of one value of a file, with the remedy where YAML has read a text as something else.

    >>> sentence({"type": "string_type", "msg": "Input should be a valid string", "input": False})
    'Input should be a valid string: YAML reads this one as a truth value: quote it'
    """
    value, text = error["input"], str(error["msg"])
    if error["type"] in ("model_type", "model_attributes_type"):
        return "must be keys with values" + (": the file is empty" if value is None and not error["loc"] else "")
    if error["type"] != "string_type" or not isinstance(value, bool | int | float | date):
        return text
    kind = "a truth value" if isinstance(value, bool) else "a date" if isinstance(value, date) else "a number"
    return f"{text}: YAML reads this one as {kind}: quote it"


def _said(problem: str | None) -> str:
    text = " ".join((problem or "").split())
    if "given twice" in text:
        return text
    return f"is not YAML: {_OF_THE_FILE.sub(SIGNS, text)}"

"""The rule engine: a versioned file of rules, read again when it changes, evaluated on every transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lamina.contracts.decisions import Action, Reason
from lamina.contracts.transactions import Transaction
from lamina.errors import LaminaError
from lamina.monitoring import metrics
from serving.stages.kinds import AnyRule, Features
from serving.stages.risk import Band, complaint, most_severe

log = logging.getLogger(__name__)

FileState = tuple[tuple[str, int, int], ...]


class RulesError(LaminaError):
    """A rules file that cannot be right; the message names the file, the place in it and what to change."""


class RuleBook(BaseModel):
    """The content of a rules file: its version, the rules in order, the bands of the risk scorer."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: str = Field(min_length=1, max_length=64)
    rules: tuple[AnyRule, ...]
    risk: tuple[Band, ...]

    @model_validator(mode="after")
    def _consistent(self) -> RuleBook:
        codes = [rule.code for rule in self.rules]
        if twice := sorted({code for code in codes if codes.count(code) > 1}):
            raise ValueError(f"codes used twice: {', '.join(twice)}; decisions could not tell these rules apart")
        if wrong := complaint(self.risk):
            raise ValueError(f"risk: {wrong}")
        return self

    def judge(self, transaction: Transaction, features: Features) -> tuple[Action, list[Reason]]:
        """The most severe action that any rule asks for, and a reason for each that fired."""
        action: Action = "approve"
        reasons = []
        for rule in self.rules:
            detail = rule.fires(transaction, features)
            if detail is not None:
                action = most_severe(action, rule.action)
                reasons.append(Reason(kind="rule", code=rule.code, detail=detail))
        return action, reasons


def load_rules(file: Path) -> RuleBook:
    """The rules in `file` and the lists it names.

    Raises: RulesError: for anything that cannot be right, unknown keys and kinds among it.
    """
    try:
        raw: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        book = RuleBook.model_validate(raw)
        for rule in book.rules:
            rule.load(file.parent)
    except ValidationError as error:
        raise RulesError(f"{file}: {'; '.join(_sentences(error, raw))}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RulesError(f"{file}: {error}") from error
    return book


def _sentences(error: ValidationError, raw: Any) -> list[str]:
    found = []
    for each in error.errors(include_input=False, include_url=False):
        parts = [str(part) for part in each["loc"]]
        if len(parts) > 1 and parts[0] == "rules":
            code = _code(raw, int(parts[1]))
            parts = ["rules", code, *parts[3:]] if len(parts) > 2 else ["rules", code]
        found.append(f"{'.'.join(parts) or 'file'}: {each['msg']}")
    return found


def _code(raw: Any, index: int) -> str:
    try:
        return str(raw["rules"][index]["code"])
    except (KeyError, TypeError, IndexError):
        return str(index)


@dataclass
class RuleEngine:
    """The rules in force. `reload` replaces them when the file or one of its lists changed and is right.

    Raises: RulesError: from the constructor, when there are no rules to begin with.
    """

    file: Path

    def __post_init__(self) -> None:
        self.book = load_rules(self.file)
        self.problem: str | None = None
        self._state = self._files_now()

    def reload(self) -> bool:
        """Whether new rules were taken over. A refused file is counted, logged once, and kept in `problem`."""
        state = self._files_now()
        if state == self._state:
            return False
        self._state = state
        try:
            book = load_rules(self.file)
        except RulesError as error:
            self.problem = str(error)
            metrics.RULES_RELOADS.labels("refused").inc()
            log.error("rules of version %s stay in force: %s", self.book.version, error)
            return False
        self.book, self.problem = book, None
        self._state = self._files_now()
        metrics.RULES_RELOADS.labels("taken").inc()
        log.info("rules of version %s are in force", book.version)
        return True

    def _files_now(self) -> FileState:
        names = [self.file, *(self.file.parent / name for rule in self.book.rules for name in rule.files)]
        return tuple(_state_of(path) for path in names)


def _state_of(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, -1)
    return (str(path), found.st_mtime_ns, found.st_size)

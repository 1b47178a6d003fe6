"""The rule engine: a versioned file of rules, read again when it changes, evaluated on every transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lamina.monitoring import metrics
from lamina.rules.book import RuleBook, RulesError, load_rules
from serving.stages.watched import WatchedFiles

log = logging.getLogger(__name__)


@dataclass
class RuleEngine:
    """The rules in force. `reload` replaces them when the file or one of its lists changed and is right.

    `misfit` says what keeps a file from being taken over with the models in service, or None; `taken` is called when
    one was.

    Raises: RulesError: from the constructor, when there are no rules to begin with.
    """

    file: Path
    misfit: Callable[[RuleBook], str | None] = lambda book: None
    taken: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.book = load_rules(self.file)
        self.problem: str | None = None
        self._watched = WatchedFiles(self._files)

    @property
    def version(self) -> str:
        """Of the rules in force."""
        return self.book.version

    def reload(self) -> bool:
        """Whether new rules were taken over. A refused file is counted, logged once, and kept in `problem`."""
        return self._watched.reload(self._take_over)

    def _take_over(self) -> bool:
        try:
            book = load_rules(self.file)
            if wrong := self.misfit(book):
                raise RulesError(f"{self.file}: {wrong}")
        except RulesError as error:
            self.problem = str(error)
            metrics.RULES_RELOADS.labels("refused").inc()
            log.error("rules of version %s stay in force: %s", self.book.version, error)
            return False
        self.book, self.problem = book, None
        self._watched.note()
        metrics.RULES_RELOADS.labels("taken").inc()
        self.taken()
        log.info("rules of version %s are in force", book.version)
        return True

    def _files(self) -> list[Path]:
        return [self.file, *(self.file.parent / name for rule in self.book.rules for name in rule.files)]

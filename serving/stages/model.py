"""A model in service: polled, loaded beside the old one, warmed up, then swapped in by one assignment."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lamina.monitoring import metrics
from lamina.registry.protocol import CHAMPION, ModelRegistry, ModelVersion, find
from lamina.scoring.checked import scores_of
from lamina.scoring.protocol import Scorer

log = logging.getLogger(__name__)

WARM_UP_ROUNDS = 20
KEEP_VERSIONS = 2
USED_FILE = ".used"


S = TypeVar("S")


@dataclass(frozen=True)
class InService(Generic[S]):
    """A version in service. A request takes the pointer once, and so uses one version throughout.

    `run_id` tells it from a version of the same number in another registry.
    """

    name: str
    version: str
    scorer: S
    run_id: str = ""

    @property
    def calibrated(self) -> bool:
        """Whether its scores are probabilities that may be weighed against costs."""
        return bool(getattr(self.scorer, "calibrated", False))


Model = InService[Scorer]
"""A model that scores."""


class ServedVersion(ABC, Generic[S]):
    """Keeps `current` at what the registry has under `wanted`. A version that cannot be used leaves the old one.

    Args: name: the registered model; registry: where it is; load: makes what serves from a folder; folder: for
    downloads, of this one alone, where the last model is also found when the registry is away at a start; wanted: an
    alias, or the number of a version.
    """

    def __init__(
        self,
        name: str,
        registry: ModelRegistry,
        load: Callable[[Path], S],
        folder: Path,
        wanted: str = CHAMPION,
    ) -> None:
        self.name, self.wanted = name, wanted
        self.current: InService[S] | None = None
        self.checked = False
        self.problem: str | None = "not looked for yet"
        self._registry, self._load, self._folder = registry, load, folder
        self._refused: str | None = None
        self._unnoted: tuple[str, Path, str] | None = None

    async def refresh(self) -> None:
        """Look once. What is wrong afterwards, if anything, is in `problem`."""
        try:
            await asyncio.to_thread(self._refresh)
        except Exception as error:
            # Of one model: the others are looked for all the same.
            metrics.BACKGROUND_FAILURES.labels("models").inc()
            log.debug("model %s", self.name, exc_info=error)
            self._trouble(f"it cannot be kept current: {_line(error)}")
        finally:
            self.checked = True

    def retry(self) -> None:
        """Try a version that was refused once more at the next look: what it was refused for may have changed."""
        self._refused = None

    def withdraw(self) -> None:
        """Take the model out of service; the next look loads it anew, if it can be used still."""
        self.current = self._refused = None

    @abstractmethod
    def warm_up(self, found: S) -> None:
        """Ask `found` what requests will. What it raises is why a version is refused."""

    def _refresh(self) -> None:
        try:
            found = self._find()
        except Exception as error:
            # A client library's failure of any kind must not end the polling.
            if self.current is None and (used := self._versions()):
                self._take(used[0].parent.name, *_read_mark(used[0]))
            self._trouble(f"the registry does not answer: {_line(error)}")
            return
        if found is None:
            self._trouble(f"no version of {self.name!r} has the alias {self.wanted}")
            return
        version = found.version
        if self.current is not None and self.current.version == version:
            if self._unnoted is not None:
                self._remember(*self._unnoted)
            if self._unnoted is None:
                self.problem = None
            return
        if version == self._refused:
            return
        try:
            folder = self._folder_of(found)
        except Exception as error:
            # As above; the next poll tries again.
            self._trouble(f"version {version} cannot be downloaded: {_line(error)}")
            return
        self._take(version, folder, found.run_id)

    def _find(self) -> ModelVersion | None:
        if self.wanted.isdecimal():
            return find(self._registry, self.name, self.wanted)
        return self._registry.alias(self.name, self.wanted)

    def _take(self, version: str, folder: Path, run_id: str) -> None:
        try:
            scorer = self._load(folder)
            self.warm_up(scorer)
        except Exception as error:
            # Whatever is wrong with a version, the one in service stays.
            self._refused = version
            with suppress(OSError):
                (self._folder / version / USED_FILE).unlink(missing_ok=True)
            metrics.MODEL_RELOADS.labels(self.name, "refused").inc()
            self._trouble(f"version {version} cannot be used: {_line(error)}")
            return
        # What was loaded stays for long: the collector need not look at it again and stop requests meanwhile.
        gc.freeze()
        self.current = InService(self.name, version, scorer, run_id)
        self._refused, self.problem = None, None
        metrics.MODEL_RELOADS.labels(self.name, "taken").inc()
        log.info("version %s of %s is in service", version, self.name)
        self._remember(version, folder, run_id)

    def _folder_of(self, found: ModelVersion) -> Path:
        """The version's files: as they are here from an earlier service of it, which makes a rollback quick, or new."""
        target = self._folder / found.version
        mark = target / USED_FILE
        # The run tells it from a version of the same number in another registry.
        if mark.exists() and (kept := _read_mark(mark))[1] == found.run_id:
            return kept[0]
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        return self._registry.download(self.name, found.version, target)

    def _remember(self, version: str, folder: Path, run_id: str) -> None:
        """Note that `version` is in service, for a start without the registry; what cannot be noted is tried again."""
        home = self._folder / version
        self._unnoted = (version, folder, run_id)
        note = home / f"{USED_FILE}.new"
        try:
            # Renamed into place: half a note would name another folder.
            note.write_text(f"{folder.relative_to(home)}\n{run_id}")
            note.replace(home / USED_FILE)
        except OSError as error:
            self._trouble(
                f"version {version} is in service, but {home} cannot be written ({error.strerror}): make room, or a "
                "restart without the registry has no model"
            )
            return
        self._unnoted = None
        for old in self._versions()[KEEP_VERSIONS:]:
            shutil.rmtree(old.parent, ignore_errors=True)

    def _versions(self) -> list[Path]:
        """Marks of the downloaded versions that were in service, the latest first; each names the model's folder."""
        return sorted(self._folder.glob(f"*/{USED_FILE}"), key=lambda f: f.stat().st_mtime_ns, reverse=True)

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("model %s: %s", self.name, problem)
        self.problem = problem


class ServedModel(ServedVersion[Scorer]):
    """A model that scores, kept current."""

    def warm_up(self, found: Scorer) -> None:
        """See `ServedVersion.warm_up`."""
        for _ in range(WARM_UP_ROUNDS):
            found.predict({})
        scores_of(found, [{}, {}])
        found.explain({})


def _read_mark(mark: Path) -> tuple[Path, str]:
    """The model's folder and the id of its run, as remembered in `mark`."""
    folder, _, run_id = mark.read_text().partition("\n")
    return mark.parent / folder, run_id


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

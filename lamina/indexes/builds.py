"""Builds of one index: each in a numbered folder, never changed, and a file that names the one that serves.

FOLDER/builds/00000007/    manifest and shards
       changes/            what came and went since, for all of them
       serving.json        {"serving": 7, "newest": 7, "claimed": 7}
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from lamina.clock import Clock, system_clock
from lamina.indexes.build import Gate, build_index
from lamina.indexes.changes import ChangeLog
from lamina.indexes.manifest import MANIFEST, Manifest
from lamina.scoring.retrieval import RetrievalError

KEPT = 3
"""Builds that stay, to go back to."""
_BUILD = re.compile(r"\d{8}")


class Published(NamedTuple):
    """A build, and whether it serves: one that a newer build was quicker than does not."""

    number: int
    manifest: Manifest
    serves: bool


class _Pointer(BaseModel):
    """`newest`: of all that ever served. A build that is older takes the place of none. `claimed`: the last number that
    was given to a build; its folder may be away for a moment, while what was built takes its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    serving: int = 0
    newest: int = 0
    claimed: int = 0


class Builds:
    """The builds in `folder`, which is made when the first is. Any number of processes may read, and publish."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.changes = ChangeLog(folder / "changes")

    def publish(
        self,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        model_version: str,
        gate: Gate,
        through: int,
        shards: int = 1,
        kept: int = KEPT,
        clock: Clock = system_clock,
    ) -> Published:
        """Build beside what serves, judge it, and let it serve; again for the same items makes another build.

        Args: as of `build_index`; through: `changes.last()` before `ids` and `vectors` were read; kept: builds that
        stay, that in service among them.

        Raises: RecallTooLow, RetrievalError: as `build_index` says. What serves stays; of the build nothing does.
        """
        number, folder = self._claim()
        try:
            manifest = build_index(
                folder,
                ids,
                vectors,
                model_version=model_version,
                gate=gate,
                shards=shards,
                through=through,
                clock=clock,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._locked():
            pointer = self._pointer()
            serves = number > pointer.newest
            if serves:
                self._point(pointer.model_copy(update={"serving": number, "newest": number}))
            self._clear(kept)
        return Published(number, manifest, serves)

    def serving(self) -> int | None:
        """The number of the build that serves; None where there is none.

        Raises: RetrievalError: what names it cannot be read.
        """
        return self._pointer().serving or None

    def path(self, number: int) -> Path:
        """The folder of a build."""
        return self._folder / "builds" / f"{number:08d}"

    def numbers(self) -> list[int]:
        """The builds that are whole, in order."""
        try:
            names = os.listdir(self._folder / "builds")
        except FileNotFoundError:
            return []
        found = (int(name) for name in names if _BUILD.fullmatch(name))
        return sorted(number for number in found if (self.path(number) / MANIFEST).exists())

    def roll_back(self, bad: int) -> int:
        """Take `bad` out of service, for the build before it; the number of what serves now.

        Where `bad` does not serve any more nothing happens, so that it may be said twice.

        Raises: RetrievalError: there is no build before it.
        """
        with self._locked():
            pointer = self._pointer()
            if pointer.serving != bad:
                return pointer.serving
            before = [number for number in self.numbers() if number < bad]
            if not before:
                raise RetrievalError(f"{self._folder} has no build before {bad}: publish a new one")
            self._point(pointer.model_copy(update={"serving": before[-1]}))
            return before[-1]

    def _claim(self) -> tuple[int, Path]:
        """A number that nobody else has, and its folder, empty."""
        self.path(0).parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            names, pointer = os.listdir(self.path(0).parent), self._pointer()
            there = [int(name) for name in names if _BUILD.fullmatch(name)]
            number = 1 + max(pointer.newest, pointer.claimed, *there)
            self._point(pointer.model_copy(update={"claimed": number}))
            self.path(number).mkdir()
        return number, self.path(number)

    def _clear(self, kept: int) -> None:
        """Remove what is older than the last `kept` builds and does not serve, and changes that all of those hold.

        A folder that was claimed and is not whole is somebody's who is building, or was killed: older ones go.
        """
        serving, whole = self._pointer().serving, self.numbers()
        stay = {serving, *whole[-kept:]}
        for name in os.listdir(self.path(0).parent):
            if _BUILD.fullmatch(name) and int(name) not in stay and int(name) < min(stay):
                shutil.rmtree(self.path(int(name)), ignore_errors=True)
        left = [number for number in self.numbers() if number in stay]
        if left:
            self.changes.forget(min(Manifest.read(self.path(number)).through for number in left))

    def _pointer(self) -> _Pointer:
        file = self._folder / "serving.json"
        try:
            return _Pointer.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return _Pointer()
        except (OSError, ValidationError) as error:
            raise RetrievalError(f"{file} cannot be read ({error}): publish a build, or name one in it") from error

    def _point(self, pointer: _Pointer) -> None:
        staging = self._folder / f".serving-{os.getpid()}.json"
        staging.write_text(pointer.model_dump_json() + "\n", encoding="utf-8")
        staging.replace(self._folder / "serving.json")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time, also of other processes."""
        import fcntl

        with (self._folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

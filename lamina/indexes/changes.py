"""What changed in a catalogue since its index was built: items that came, with their vectors, and items that went.

Each change is a numbered file in one folder, whole or not there at all, which any number of processes may write to and
read from. An index says up to which number its build holds them; what is later is laid over it as it is read.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.retrieval import RetrievalError, by_id

_FILE = re.compile(r"(\d{12})\.npz")


@dataclass(frozen=True)
class Change:
    """Items that came, or came anew, and ids of items that went.

    Args: model_version: of the model that made `vectors`, float32[ids, dimensions].
    """

    model_version: str = ""
    ids: Sequence[str] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    removed: Sequence[str] = ()


class ChangeLog:
    """The changes in `folder`, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, change: Change) -> int:
        """Write `change`; returns its number, larger than that of any before.

        Raises: RetrievalError: an id is there twice, or both came and went; vectors that are no vectors of the ids.
        """
        ids, vectors = by_id(change.ids, change.vectors)
        if both := sorted(set(change.ids) & set(change.removed)):
            raise RetrievalError(f"{both[0]!r} came and went in one change: say which, in two")
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".new-", suffix=".npz") as file:
            np.savez(
                file,
                model_version=np.array(change.model_version),
                ids=_bytes(ids.tolist()),
                vectors=vectors,
                removed=_bytes(change.removed),
            )
            file.flush()
            os.fsync(file.fileno())
            number = self.last()
            while True:
                number += 1
                try:
                    # Another writer may have had this number: a link, unlike a rename, replaces nothing.
                    os.link(file.name, self._folder / f"{number:012d}.npz")
                except FileExistsError:
                    continue
                return number

    def last(self) -> int:
        """The number of the last change; 0 where there is none."""
        return max(self._numbers(), default=0)

    def after(self, number: int) -> Iterator[tuple[int, Change]]:
        """Changes of larger numbers than `number`, in order.

        Raises: RetrievalError: the next one was forgotten, or one cannot be read; those before it were given.
        """
        later = sorted(found for found in self._numbers() if found > number)
        if later and later[0] != number + 1:
            raise RetrievalError(
                f"{self._folder} begins with change {later[0]}, and {number + 1} is needed: build the index anew"
            )
        for each in later:
            yield each, _read(self._folder / f"{each:012d}.npz")

    def forget(self, through: int) -> None:
        """Remove changes up to `through`, which every index that may serve holds. The last stays: numbers go on."""
        for number in self._numbers():
            if number <= min(through, self.last() - 1):
                (self._folder / f"{number:012d}.npz").unlink(missing_ok=True)

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return [int(found[1]) for name in names if (found := _FILE.fullmatch(name))]


def _bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    import orjson

    return np.frombuffer(orjson.dumps(list(texts)), np.uint8)


def _texts(array: NDArray[np.uint8]) -> list[str]:
    import orjson

    found: list[str] = orjson.loads(array.tobytes())
    return found


def _read(file: Path) -> Change:
    try:
        with np.load(file, allow_pickle=False) as kept:
            return Change(str(kept["model_version"]), _texts(kept["ids"]), kept["vectors"], _texts(kept["removed"]))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise RetrievalError(f"{file} holds no change that can be read ({error}): move it away, build anew") from error

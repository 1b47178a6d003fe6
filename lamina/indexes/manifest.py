"""What a build of an index says of itself, in a file beside its shards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lamina.scoring.retrieval import RetrievalError

MANIFEST = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recall(_Part):
    """How many of the exact `k` nearest items the index finds, for vectors of users that it was not tuned on.

    `share`: the mean over `users`; `least`: what it had to be.
    """

    k: int
    users: int
    share: float
    least: float


class Shard(_Part):
    """One shard: its items, and the SHA-256 of each of its files, by name."""

    items: int
    files: dict[str, str]


class Manifest(_Part):
    """What lies in a build's folder.

    `built_ms`: epoch ms. `lists`: parts that a shard's vectors are divided into; `probes`: those that a search looks
    into. `through`: the number of the last change that the vectors already hold, as `ChangeLog` counts.
    """

    format: Literal[1] = 1
    model_version: str
    dimensions: int
    items: int
    built_ms: int
    lists: int
    probes: int
    through: int
    recall: Recall | None
    shards: tuple[Shard, ...]

    def write(self, folder: Path) -> None:
        """Write it to `folder`."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of the build in `folder`.

        Raises: RetrievalError: there is none, or it cannot be read.
        """
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except (OSError, ValidationError) as error:
            raise RetrievalError(f"{folder} holds no index that can be read ({error}): build it again") from error


def sums(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The SHA-256 of files in `folder`, by name.

    Raises: RetrievalError: one cannot be read.
    """
    found = {}
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RetrievalError(f"{folder / name} cannot be read ({error.strerror}): build the index again") from error
    return found

"""What is known of users or items beside who met what, as words: `gender=F`, `genre=Drama`, `age=3` for a band."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.interactions import Texts


@dataclass(frozen=True)
class Tokens:
    """The words of each id. An id that is not there has none."""

    words: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, rows: Iterable[tuple[object, Iterable[str]]]) -> Tokens:
        """The words of every id; of an id that comes twice the later ones.

        >>> Tokens.of([(7, ["genre=Drama", "year=1990s"])]).words
        {'7': ('genre=Drama', 'year=1990s')}
        """
        return cls({str(id_): tuple(words) for id_, words in rows})

    def buckets(self, ids: Texts, size: int) -> list[list[int]]:
        """The bucket, 0 to `size` - 1, of each word of each id. Two words may share one: that is what hashing costs."""
        return [[bucket_of(word, size) for word in self.words.get(id_, ())] for id_ in ids]


NONE = Tokens({})
"""Nothing is known."""


def bucket_of(word: str, size: int) -> int:
    """A word's bucket: the same in every process, unlike Python's `hash`.

    >>> bucket_of("genre=Drama", 1000) == bucket_of("genre=Drama", 1000)
    True
    """
    return zlib.crc32(word.encode()) % size


def banded(name: str, values: NDArray[np.float64], edges: Sequence[float]) -> list[str]:
    """Numbers as words by the band that each lies in; one that is not known has a word of its own.

    >>> banded("age", np.array([10.0, 30.0, np.nan]), [18, 65])
    ['age=0', 'age=1', 'age=?']
    """
    bands = np.searchsorted(np.asarray(edges, np.float64), values, side="right").tolist()
    return [f"{name}=?" if missing else f"{name}={band}" for band, missing in zip(bands, np.isnan(values), strict=True)]

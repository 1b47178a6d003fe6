"""Sparse columns: batch blobs keep only the tiles that hold a value, and unpack nothing before it is asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class Sparse(Sequence[T]):
    """A column of `rows` tiles with values at the ascending positions `places`, and `nothing` at all others."""

    __slots__ = ("nothing", "places", "rows", "values")

    def __init__(self, rows: int, places: Sequence[int], values: Sequence[T], nothing: T) -> None:
        self.rows, self.places, self.values, self.nothing = rows, places, values, nothing

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self.rows))]
        if not 0 <= at < self.rows:
            raise IndexError(at)
        place = bisect_left(self.places, at)
        return self.values[place] if place < len(self.places) and self.places[place] == at else self.nothing

    def between(self, i: int, j: int) -> Sequence[T]:
        """What tiles `[i, j)` hold, without those that hold nothing."""
        return self.values[bisect_left(self.places, i) : bisect_left(self.places, j)]


class Hashes(Sequence[list[str]]):
    """A column of sets of hashes (`lamina.semantics.sketch`), as numbers one after the other.

    places: of the tiles that have any, ascending. ends: how many hashes there are up to the end of each of these.
    numbers: uint64, all of them.
    """

    __slots__ = ("ends", "numbers", "places", "rows")

    def __init__(self, rows: int, places: Sequence[int], ends: Sequence[int], numbers: Sequence[int]) -> None:
        self.rows, self.places, self.ends, self.numbers = rows, places, ends, numbers

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, at: int) -> list[str]: ...
    @overload
    def __getitem__(self, at: slice) -> list[list[str]]: ...
    def __getitem__(self, at: int | slice) -> list[str] | list[list[str]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self.rows))]
        if not 0 <= at < self.rows:
            raise IndexError(at)
        return [f"{number:016x}" for number in self.between(at, at + 1)]

    def between(self, i: int, j: int) -> Sequence[int]:
        """The hashes of tiles `[i, j)`, as numbers; one that several hold as often."""
        first, last = bisect_left(self.places, i), bisect_left(self.places, j)
        return self.numbers[self.ends[first - 1] if first else 0 : self.ends[last - 1] if last else 0]


def texts_of(column: Sequence[str | None], i: int, j: int) -> Iterable[str | None]:
    """The texts of tiles `[i, j)` of a column; of a sparse one without those that have none."""
    return column.between(i, j) if type(column) is Sparse else column[i:j]


def numbers_of(column: Sequence[Sequence[str]], i: int, j: int) -> Iterable[int]:
    """The hashes of tiles `[i, j)` of a column, as numbers."""
    if type(column) is Hashes:
        return column.between(i, j)
    return (int(value, 16) for values in column[i:j] for value in values)

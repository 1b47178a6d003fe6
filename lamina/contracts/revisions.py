"""Events that speak of one thing more than once, such as labels: which of them stands at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Revisions:
    """Of all events of one id that were known at a time, the one of the best origin stands; of one origin the newest.

    known: column with the time at which an event became known, epoch ms. by: column that names its origin. order:
    origins, the best first; any other comes behind them. verdict: what events of an id disagree about. The stream
    cannot take an event back, and counts the first of each id and verdict until the batch layer corrects it.
    """

    known: str
    by: str
    order: tuple[str, ...]
    verdict: str

    def rank(self, origin: object) -> int:
        """Place of an origin in the order; the smaller the better.

        >>> told = Revisions(known="timestamp", by="source", order=("chargeback", "analyst"), verdict="is_fraud")
        >>> told.rank("analyst"), told.rank("hearsay")
        (1, 2)
        """
        return self.order.index(origin) if isinstance(origin, str) and origin in self.order else len(self.order)

    def complaints(self, columns: Collection[str]) -> Iterator[str]:
        """What is wrong with it on a source with these columns."""
        if lacking := [c for c in (self.known, self.by, self.verdict) if c not in columns]:
            yield f"its revisions name unknown columns {lacking}; the source has {sorted(columns)}"
        if not self.order or len(set(self.order)) < len(self.order):
            yield "the order of its revisions names each origin once, the best first, and at least one"

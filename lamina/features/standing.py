"""Events that are valid for a while: those of a source with revisions, such as labels, which a later one may replace.

A table says of each event from when it was known and until when it stood, that is, was not yet replaced. Which events
are in a window then depends on when it is asked, so the window is no longer one range of positions for all query rows.
Those whose window holds an event that was replaced, or known late, are answered one by one from what stood at their
time; all others from the range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lamina.contracts.features import WindowFeature
from lamina.features.windows import Flags, Ints, QueryRows, Timeline, Windows

KNOWN, UNTIL = "_known", "_until"
FOREVER = np.iinfo(np.int64).max
MOST_PAIRS = 2_000_000
"""Pairs of a query row and an event that are held at once: 50 MB."""


@dataclass(frozen=True)
class Asked:
    """Query rows that are answered from the events that stood at their own time.

    rows: int64[m], positions among all query rows. queries: these, each made an entity of its own, as two of one entity
    may see different events. timeline: the events that stood, under these entities. places: int64[n], which events of
    the original timeline they are.
    """

    rows: Ints
    queries: QueryRows
    timeline: Timeline
    places: Ints


@dataclass(frozen=True)
class Standing:
    """When each event of a timeline stood: `known <= at < until`, int64[n] epoch ms each."""

    known: Ints
    until: Ints

    @classmethod
    def of(cls, table: pa.Table, places: Ints) -> Standing:
        """Columns `KNOWN` and `UNTIL` (null: for ever) of the rows at `places`."""
        known, until = (table[name].take(pa.array(places)) for name in (KNOWN, UNTIL))
        return cls(known.to_numpy(), until.fill_null(FOREVER).to_numpy())

    def unsettled(self, timeline: Timeline, feature: WindowFeature) -> Flags:
        """bool[n]: the events that may be in the window of a query row at a time at which they did not stand."""
        ts, delay = timeline.ts, feature.view.delay.ms
        first = ts - ts % feature.resolution.ms + delay if delay else ts
        return np.asarray((self.until != FOREVER) | (self.known > first))

    def asked(self, feature: WindowFeature, timeline: Timeline, spans: Windows, queries: QueryRows) -> Iterator[Asked]:
        """The query rows with an unsettled event in their window, some at a time."""
        before = np.concatenate(([0], np.cumsum(self.unsettled(timeline, feature))))
        mixed = np.flatnonzero(before[np.maximum(spans.hi, spans.lo)] > before[spans.lo])
        ends = np.cumsum(spans.n[mixed])
        begin = 0
        while begin < len(mixed):
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + MOST_PAIRS, side="right")))
            yield self._asked(mixed[begin:end], timeline, spans, queries)
            begin = end

    def _asked(self, rows: Ints, timeline: Timeline, spans: Windows, queries: QueryRows) -> Asked:
        n, at = spans.n[rows], queries.at[rows]
        own = np.repeat(np.arange(len(rows)), n)
        places = np.arange(len(own)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(spans.lo[rows], n)
        stood = (self.known[places] <= at[own]) & (at[own] < self.until[places])
        own, places = own[stood], places[stood]
        return Asked(rows, QueryRows(np.arange(len(rows)), at), Timeline(own, timeline.ts[places]), places)

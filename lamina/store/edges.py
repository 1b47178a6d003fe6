"""Where the windows of an entity begin and end: no sum of tiles that reaches over such an edge may be used.

Of an entity with many tiles the store also keeps the sums of each minute and hour (`lamina.store.folded`). A sum can
stand for its tiles only if every window holds all of it or nothing of it, which depends on the time asked about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lamina.contracts.features import Entity
from lamina.semantics.plan import Plan

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@dataclass(frozen=True)
class Edges:
    """The edges of every window over one speed tile spec, relative to the time asked about.

    longest_ms: no sum of a longer time may be used, as a gap between two sessions could lie inside of it. offsets: one
    an edge: the window's resolution, ms, and how many ms before the time asked about, rounded down to that resolution,
    the first tile behind the edge starts.
    """

    tile_spec: str
    longest_ms: int
    offsets: tuple[tuple[int, int], ...]

    def cuts(self, at_ms: int) -> set[int]:
        """The edges as epoch ms, each the start of the first tile behind it: no sum that is used may lie on both sides.

        >>> Edges("t", HOUR_MS, ((1000, 59_000), (1000, -1000))).cuts(100_250)
        {41000, 101000}
        """
        return {at_ms - at_ms % resolution_ms - before_ms for resolution_ms, before_ms in self.offsets}


class Asked(NamedTuple):
    """A question: the time it is about, epoch ms, and the edges of its windows."""

    at_ms: int
    edges: tuple[Edges, ...]


def edges_of(plan: Plan, entity: Entity) -> tuple[Edges, ...]:
    """The edges of all windows over the speed tile specs of `entity`."""
    offsets: dict[str, set[tuple[int, int]]] = {}
    longest_ms: dict[str, int] = {}
    for feature in plan.features.window_features:
        speed = plan.speed_of(plan.tile_spec_of(feature))
        if speed is None or speed.entity != entity:
            continue
        resolution_ms, delay_ms = feature.resolution.ms, feature.view.delay.ms
        for before_ms in (delay_ms + feature.window.ms, delay_ms):
            offsets.setdefault(speed.id, set()).add((resolution_ms, before_ms - resolution_ms))
        gap = feature.aggregate.gap
        longest_ms[speed.id] = min(longest_ms.get(speed.id, HOUR_MS), gap.ms if gap else HOUR_MS)
    return tuple(Edges(tile_spec, longest_ms[tile_spec], tuple(sorted(found))) for tile_spec, found in offsets.items())


def cuts_of(asked: Iterable[Asked]) -> dict[str, tuple[int, set[int]]]:
    """For several questions at once, by tile spec: the longest time of which a sum may be used, ms, and all cuts."""
    found: dict[str, tuple[int, set[int]]] = {}
    for at_ms, edges in asked:
        for own in edges:
            longest_ms, cuts = found.get(own.tile_spec, (HOUR_MS, set()))
            found[own.tile_spec] = min(longest_ms, own.longest_ms), cuts | own.cuts(at_ms)
    return found

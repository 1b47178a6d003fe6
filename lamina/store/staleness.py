"""Which views are stale: more of their newest events may be missing from the store than the view allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.contracts.features import Entity, FeatureView, Layers
from lamina.semantics.plan import Plan
from lamina.store.protocol import SPEED_TTL_S

Begins = Sequence[tuple[int, str]]
"""Times, ascending, epoch ms, and the view that becomes stale at each."""
_NONE: frozenset[str] = frozenset()


def stream_watermark(source: str) -> str:
    """Name under which the store is told the time of the newest event of a source that the stream has brought.

    >>> stream_watermark("transactions")
    'stream:transactions'
    """
    return f"stream:{source}"


def batch_watermark(system: str, entity: Entity) -> str:
    """Name under which the store is told up to when the batch layer of an entity is complete: of one that systems share
    each has its own, as they are published one after the other.

    >>> batch_watermark("fraud", Entity("user", "user_id"))
    'user'
    >>> batch_watermark("fraud", Entity("user", "user_id", shared=True))
    'user@fraud'
    """
    return f"{entity.name}@{system}" if entity.shared else entity.name


@dataclass(frozen=True)
class _Limits:
    """Of one view: its name, what tells how complete it is, and how many milliseconds of it may be missing.

    resolution_ms, delay_ms: where its last tile ends. stream: None where nobody asked for a limit.
    """

    view: str
    entity: str
    stream: str | None
    resolution_ms: int
    delay_ms: int
    batch_ms: int
    stream_ms: int

    def passed_ms(self, complete_ms: Mapping[str, int]) -> int:
        """The first moment at which they are passed."""
        batch = complete_ms.get(self.entity, 0)
        # From here on the tile at hand ends later than it may.
        passed = (batch + self.batch_ms + self.delay_ms) // self.resolution_ms * self.resolution_ms
        if self.stream is None:
            return passed
        return min(passed, max(complete_ms.get(self.stream, 0), batch) + self.stream_ms + 1)


class Staleness:
    """The limits of all views of a plan.

    A view of the batch layer alone is stale when its windows reach beyond the end of the batch tiles by more than
    `stale_after` (by default not at all). One that the stream continues is stale when the batch layer is so late that
    the speed layer has forgotten what lies between (three days); and, if it has a `stale_after`, when the newest event
    that the stream has brought is older: a source that is silent for longer cannot be told from a stream that stands.
    """

    def __init__(self, plan: Plan) -> None:
        self._limits = [
            _limits(view, batch_watermark(plan.features.system, view.entity)) for view in plan.features.views
        ]

    def begins(self, complete_ms: Mapping[str, int]) -> Begins:
        """When each view becomes stale, unless more comes to the store until then; the earliest first.

        Args: complete_ms: as `Snapshot.batch_end_ms`: by entity the end of its batch tiles, by `stream_watermark` the
        newest
            event.
        """
        return sorted((limits.passed_ms(complete_ms), limits.view) for limits in self._limits)


def stale(begins: Begins, at_ms: int) -> frozenset[str]:
    """Names of the views that are stale at `at_ms`."""
    if not begins or at_ms < begins[0][0]:
        return _NONE
    return frozenset(view for begin, view in begins if begin <= at_ms)


def _limits(view: FeatureView, batch: str) -> _Limits:
    asked = view.stale_after
    patience_ms = asked.ms if asked else 0
    if view.layers == Layers.BATCH:
        finest = min(f.resolution.ms for f in view.features)
        return _Limits(view.name, batch, None, finest, view.delay.ms, patience_ms, 0)
    stream = stream_watermark(view.source.name) if asked else None
    return _Limits(view.name, batch, stream, 1, 0, 1000 * SPEED_TTL_S, patience_ms)

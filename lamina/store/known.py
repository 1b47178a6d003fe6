"""What the store holds of one entity, read from its reply. Hot path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from lamina.contracts.features import Entity
from lamina.semantics.plan import Plan, TileSpec
from lamina.store.blobs import Packed, open_batch
from lamina.store.edges import Edges, edges_of
from lamina.store.evaluate import SpecTiles
from lamina.store.protocol import EntityReply
from lamina.store.rollup import RolledUp, Rollup
from lamina.store.tiles import TileColumns, decode_speed


@dataclass
class Known:
    """What the store holds of one entity. All mappings are by `TileSpec.key`.

    through: ends of its batch tiles, epoch ms. newest_ms: start of the newest tile of each tile spec and layer.
    """

    name: str
    is_unknown: bool
    batch: Mapping[str, Packed]
    speed: Mapping[str, TileColumns]
    seen: Mapping[str, int]
    through: Mapping[str, int]
    newest_ms: Sequence[int]

    def tiles(self) -> dict[str, SpecTiles]:
        """Both layers, unpacked.

        Raises: CodecError: when a blob cannot be read.
        """
        found = {key: SpecTiles(packed.tiles()) for key, packed in self.batch.items()}
        for key, columns in self.speed.items():
            found.setdefault(key, SpecTiles()).speed = columns
        return found


@dataclass(frozen=True)
class Own:
    """What depends on an entity's definition alone: its tile specs, those of the speed layer, the rollups between."""

    entity: Entity
    tile_specs: tuple[TileSpec, ...]
    speed: tuple[TileSpec, ...]
    rollups: tuple[tuple[TileSpec, TileSpec, Rollup], ...]
    labels: Mapping[str, tuple[str, ...]]
    nothing_seen: Mapping[str, int]
    edges: tuple[Edges, ...]

    @classmethod
    def of(cls, plan: Plan, entity: Entity) -> Own:
        """Of an entity of a plan."""
        tile_specs = plan.of_entity(entity)
        together = [(t, s) for t in tile_specs if (s := plan.speed_of(t)) is not None]
        labels = {t.key: plan.seen_labels(t) for t, _ in together}
        return cls(
            entity,
            tile_specs,
            tuple(dict.fromkeys(s for _, s in together)),
            tuple((t, s, Rollup(t, s)) for t, s in together),
            labels,
            dict.fromkeys(chain.from_iterable(labels.values()), 0),
            edges_of(plan, entity),
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of its tile specs."""
        return tuple(t.id for t in self.tile_specs)

    def known(self, reply: EntityReply) -> Known:
        """What `reply` holds.

        Raises: CodecError: when its bytes cannot be read.
        """
        batch = {t.key: open_batch(blob) for t in self.tile_specs if (blob := reply.batch.get(t.id))}
        through = {key: packed.batch_end_ms for key, packed in batch.items()}
        newest = [packed.newest_ms for packed in batch.values() if packed.rows]
        if not reply.speed:
            return Known(self.entity.name, not reply.batch, batch, {}, self.nothing_seen, through, newest)
        speed: dict[str, TileColumns] = {}
        seen: dict[str, int] = {}
        for tile_spec, found in self._rolled_up(reply, through):
            speed[tile_spec.key] = found.tiles
            seen.update(zip(self.labels[tile_spec.key], (found.seen, *found.keyed_seen), strict=True))
            newest += found.tiles.starts[-1:]
        return Known(self.entity.name, False, batch, speed, seen, through, newest)

    def _rolled_up(self, reply: EntityReply, through: Mapping[str, int]) -> Iterator[tuple[TileSpec, RolledUp]]:
        """The speed tiles of each tile spec from where its batch tiles end."""
        from_ms: dict[str, int] = {}
        for tile_spec, speed, _ in self.rollups:
            end = through.get(tile_spec.key, 0)
            from_ms[speed.id] = min(end, from_ms.get(speed.id, end))
        found = decode_speed(self.speed, reply.speed, from_ms)
        for tile_spec, speed, rollup in self.rollups:
            yield tile_spec, rollup(found[speed.id], through.get(tile_spec.key, 0))

"""An online store in this process: for notebooks and unit tests, with the same promises as Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from lamina.errors import WritesLost
from lamina.store.blobs import THROUGH_SLICE
from lamina.store.protocol import (
    BatchWrite,
    EntityReply,
    ReadKey,
    Snapshot,
    TileWrite,
    WriteSequence,
    batch_key,
    speed_key,
)
from lamina.store.tiles import event_count


class MemoryStore:
    """Implements `OnlineStore` and `Listing` with dictionaries; nothing expires."""

    def __init__(self) -> None:
        self._speed: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        self._batch: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._through: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._offsets: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._topics: dict[str, str] = {}

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        """See `OnlineStore.write_tiles`."""
        self._take(sequence)
        applied = 0
        for tile in tiles:
            fields, name = self._speed[tile.key], tile.field.encode()
            if not tile.payload:
                applied += fields.pop(name, None) is not None
            elif name not in fields or event_count(fields[name]) <= event_count(tile.payload):
                fields[name] = tile.payload
                applied += 1
        return applied

    def begin(self, log: str, writer: str) -> Mapping[int, int]:
        """See `OnlineStore.begin`."""
        self._numbers[writer] = 0
        return dict(self._offsets[log])

    def identify(self, log: str, topic_id: str, *, anew: bool = False) -> str:
        """See `OnlineStore.identify`."""
        if anew and self._topics.get(log, topic_id) != topic_id:
            del self._topics[log]
            self._offsets.pop(log, None)
        return self._topics.setdefault(log, topic_id)

    def commit_offsets(self, log: str, sequence: WriteSequence, offsets: Mapping[int, int]) -> None:
        """See `OnlineStore.commit_offsets`."""
        if self._numbers.get(sequence.writer) != sequence.number:
            raise WritesLost(f"write {sequence.number} of {sequence.writer} is not there")
        self._offsets[log].update(offsets)

    def publish(self, writes: Sequence[BatchWrite], sequence: WriteSequence | None = None) -> int:
        """See `OnlineStore.publish`."""
        self._take(sequence)
        applied = 0
        for write in writes:
            blobs, speed = self._batch[batch_key(write.key)], self._speed[write.key]
            for tile_spec, blob in write.blobs.items():
                through = blob[THROUGH_SLICE]
                if not write.takes_back and tile_spec in blobs and blobs[tile_spec][THROUGH_SLICE] > through:
                    continue
                blobs[tile_spec] = blob
                applied += 1
            batch_end_ms = write.batch_end_ms
            for name in [n for n in speed if _is_before(n, write.speed, batch_end_ms)]:
                del speed[name]
        return applied

    def advance_watermark(self, name: str, batch_end_ms: int) -> None:
        """See `OnlineStore.advance_watermark`."""
        self._through[name] = max(batch_end_ms, self._through.get(name, batch_end_ms))

    def take_back(
        self, entity: str, tile_specs: Collection[str], batch_end_ms: int, watermark: str | None = None
    ) -> int:
        """See `OnlineStore.take_back`."""
        removed = 0
        for key, blobs in self._batch.items():
            if key.startswith(batch_key(speed_key(entity, ""))):
                gone = [t for t in tile_specs if t in blobs and int(blobs[t][THROUGH_SLICE]) > batch_end_ms]
                removed += len(gone)
                for tile_spec in gone:
                    del blobs[tile_spec]
        name = watermark or entity
        if name in self._through:
            self._through[name] = min(batch_end_ms, self._through[name])
        return removed

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """See `OnlineStore.read`."""
        replies = []
        for key in keys:
            name = speed_key(key.entity, key.id)
            blobs = self._batch.get(batch_key(name), {})
            batch = {t: blobs[t] for t in key.tile_specs if t in blobs}
            replies.append(EntityReply(dict(self._speed.get(name, {})) if key.has_speed else {}, batch))
        return Snapshot(replies, dict(self._through))

    def ids(self, entity: str) -> Iterator[str]:
        """See `Listing.ids`."""
        for prefix, found in ((speed_key(entity, ""), self._speed), (batch_key(speed_key(entity, "")), self._batch)):
            yield from [key.removeprefix(prefix) for key, fields in found.items() if fields and key.startswith(prefix)]

    def _take(self, sequence: WriteSequence | None) -> None:
        if sequence is None:
            return
        if self._numbers.get(sequence.writer, -1) < sequence.number - 1:
            raise WritesLost(f"write {sequence.number - 1} of {sequence.writer} is not there")
        self._numbers[sequence.writer] = sequence.number


def _is_before(field: bytes, tile_specs: Sequence[str], batch_end_ms: int) -> bool:
    tile_spec, start, *_ = field.decode().split("/")
    return tile_spec in tile_specs and int(start) < batch_end_ms

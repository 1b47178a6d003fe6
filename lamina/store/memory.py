"""An online store in this process: for notebooks and unit tests, with the same promises as Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from lamina.errors import WritesLost
from lamina.store.blobs import THROUGH_SLICE
from lamina.store.protocol import BatchWrite, EntityReply, Mark, ReadKey, Snapshot, TileWrite, batch_key, speed_key
from lamina.store.tiles import event_count


class MemoryStore:
    """Implements `OnlineStore` with dictionaries; nothing expires."""

    def __init__(self) -> None:
        self._speed: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        self._batch: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._through: dict[str, int] = {}
        self._marks: dict[str, int] = {}
        self._offsets: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._topics: dict[str, str] = {}

    def write_tiles(self, tiles: Sequence[TileWrite], mark: Mark | None = None) -> int:
        """See `OnlineStore.write_tiles`."""
        self._take(mark)
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
        self._marks[writer] = 0
        return dict(self._offsets[log])

    def identify(self, log: str, topic_id: str, *, anew: bool = False) -> str:
        """See `OnlineStore.identify`."""
        if anew and self._topics.get(log, topic_id) != topic_id:
            del self._topics[log]
            self._offsets.pop(log, None)
        return self._topics.setdefault(log, topic_id)

    def settle(self, log: str, mark: Mark, offsets: Mapping[int, int]) -> None:
        """See `OnlineStore.settle`."""
        if self._marks.get(mark.writer) != mark.number:
            raise WritesLost(f"write {mark.number} of {mark.writer} is not there")
        self._offsets[log].update(offsets)

    def publish(self, writes: Sequence[BatchWrite], mark: Mark | None = None) -> int:
        """See `OnlineStore.publish`."""
        self._take(mark)
        applied = 0
        for write in writes:
            blobs, speed = self._batch[batch_key(write.key)], self._speed[write.key]
            for tiling, blob in write.blobs.items():
                through = blob[THROUGH_SLICE]
                if not write.takes_back and tiling in blobs and blobs[tiling][THROUGH_SLICE] > through:
                    continue
                blobs[tiling] = blob
                applied += 1
            through_ms = write.through_ms
            for name in [n for n in speed if _is_before(n, write.speed, through_ms)]:
                del speed[name]
        return applied

    def announce(self, name: str, through_ms: int) -> None:
        """See `OnlineStore.announce`."""
        self._through[name] = max(through_ms, self._through.get(name, through_ms))

    def take_back(self, entity: str, tilings: Collection[str], through_ms: int, announced: str | None = None) -> int:
        """See `OnlineStore.take_back`."""
        removed = 0
        for key, blobs in self._batch.items():
            if key.startswith(batch_key(speed_key(entity, ""))):
                gone = [t for t in tilings if t in blobs and int(blobs[t][THROUGH_SLICE]) > through_ms]
                removed += len(gone)
                for tiling in gone:
                    del blobs[tiling]
        name = announced or entity
        if name in self._through:
            self._through[name] = min(through_ms, self._through[name])
        return removed

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """See `OnlineStore.read`."""
        replies = []
        for key in keys:
            name = speed_key(key.entity, key.id)
            blobs = self._batch.get(batch_key(name), {})
            batch = {t: blobs[t] for t in key.tilings if t in blobs}
            replies.append(EntityReply(dict(self._speed.get(name, {})) if key.has_speed else {}, batch))
        return Snapshot(replies, dict(self._through))

    def _take(self, mark: Mark | None) -> None:
        if mark is None:
            return
        if self._marks.get(mark.writer, -1) < mark.number - 1:
            raise WritesLost(f"write {mark.number - 1} of {mark.writer} is not there")
        self._marks[mark.writer] = mark.number


def _is_before(field: bytes, tilings: Sequence[str], through_ms: int) -> bool:
    tiling, start, *_ = field.decode().split("/")
    return tiling in tilings and int(start) < through_ms

"""The online store on Redis: hash `<entity>:<id>` for speed tiles, hash `<entity>_batch:<id>` for batch blobs.

Conditions are checked where the data is, in one atomic server-side step: there is no read before a write. Hours of a
key with many tiles are folded (`lamina.store.redis_scripts`), and such a key is read in a second round trip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar, cast

import hiredis
import redis
from redis.connection import Connection
from redis.exceptions import OutOfMemoryError, RedisError

from lamina.errors import StoreUnavailable, WritesLost
from lamina.store.blobs import THROUGH_SLICE
from lamina.store.edges import cuts_of
from lamina.store.folded import MARKER, Folder
from lamina.store.protocol import (
    MOST_BLOBS,
    SPEED_TTL_S,
    BatchWrite,
    EntityReply,
    ReadKey,
    Snapshot,
    TileWrite,
    WriteSequence,
    batch_key,
    speed_key,
)
from lamina.store.redis_folding import Folding
from lamina.store.redis_scripts import (
    ADVANCE,
    BEGIN,
    COMMIT_OFFSETS,
    IDENTIFY,
    MOVE_BACK,
    NEXT_WRITE,
    PUBLISH,
    READ_FOLDED,
    TAKE_BACK,
    TRIM,
    WRITE_TILES,
)

THROUGH_KEY = "lamina:through"
SEQUENCE_TTL_S = 86_400
TREE_TTL_S = SPEED_TTL_S + 86_400  # what an entity's own hash speaks of outlives it
BATCH_TTL_S = 104 * 86_400  # the longest window, 97 days with its label delay, and a week
ENTITIES_PER_CALL = 50  # a call is atomic: for so long, well under a millisecond, readers wait
ENTITIES_PER_SCAN = 1000
TOPIC_FIELD = "topic_id"
Command = tuple[str, ...]
T = TypeVar("T")


class RedisStore:
    """Implements `OnlineStore`. The constructor opens no connection.

    Args: folder: adds up the tiles of keys that have many, for whoever writes tiles. What it does not know stays as it
        is: answers are the same, reads are longer.
    """

    def __init__(self, url: str, *, timeout_ms: int = 5000, folder: Folder | None = None) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._write_tiles = self._redis.register_script(WRITE_TILES)
        self._publish = self._redis.register_script(PUBLISH)
        self._trim = self._redis.register_script(TRIM)
        self._advance = self._redis.register_script(ADVANCE)
        self._take_back = self._redis.register_script(TAKE_BACK)
        self._move_back = self._redis.register_script(MOVE_BACK)
        self._next_write = self._redis.register_script(NEXT_WRITE)
        self._commit_offsets = self._redis.register_script(COMMIT_OFFSETS)
        self._identify = self._redis.register_script(IDENTIFY)
        self._begin = self._redis.register_script(BEGIN)
        self._folding = Folding(self._redis, folder) if folder else None

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        """See `OnlineStore.write_tiles`."""
        by_key: dict[str, list[bytes | str]] = {}
        for tile in tiles:
            by_key.setdefault(tile.key, []).extend((tile.field, tile.payload))
        chunks = list(_chunks(list(by_key.items()), ENTITIES_PER_CALL))
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for chunk in chunks:
                    args = [x for _, pairs in chunk for x in (len(pairs) // 2, *pairs)]
                    keys = [key for key, _ in chunk]
                    self._write_tiles(keys=keys, args=[SPEED_TTL_S, TREE_TTL_S, *args], client=pipe)
                if sequence is not None:
                    # Last, on the same connection: the server has it only if it has all tiles before it.
                    self._next_write(
                        keys=[sequence_key(sequence.writer)], args=[sequence.number, SEQUENCE_TTL_S], client=pipe
                    )
                answers: list[int | list[int]] = pipe.execute()
            if sequence is not None and not answers.pop():
                raise lost(sequence)
            applied, busy = 0, []
            for chunk, answer in zip(chunks, answers, strict=True):
                count, *places = answer if isinstance(answer, list) else (answer,)
                applied += count
                busy += [chunk[place - 1][0] for place in places]
            if busy and self._folding:
                self._folding.fold(busy)
        except RedisError as error:
            raise unavailable(error) from error
        return applied

    def begin(self, log: str, writer: str) -> Mapping[int, int]:
        """See `OnlineStore.begin`."""
        try:
            flat = cast("list[bytes]", self._begin(keys=[sequence_key(writer), _log_key(log)], args=[SEQUENCE_TTL_S]))
        except RedisError as error:
            raise unavailable(error) from error
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {int(p): int(offset) for p, offset in pairs if p != TOPIC_FIELD.encode()}

    def offsets(self, log: str) -> Mapping[int, int]:
        """Up to where, exclusively, each partition of the log of this name is known to be in this store."""
        try:
            found = cast("dict[bytes, bytes]", self._redis.hgetall(_log_key(log)))
        except RedisError as error:
            raise unavailable(error) from error
        return {int(p): int(offset) for p, offset in found.items() if p != TOPIC_FIELD.encode()}

    def identify(self, log: str, topic_id: str, *, anew: bool = False) -> str:
        """See `OnlineStore.identify`."""
        try:
            found = cast("bytes", self._identify(keys=[_log_key(log)], args=[TOPIC_FIELD, topic_id, int(anew)]))
        except RedisError as error:
            raise unavailable(error) from error
        return found.decode()

    def commit_offsets(self, log: str, sequence: WriteSequence, offsets: Mapping[int, int]) -> None:
        """See `OnlineStore.commit_offsets`."""
        flat = [x for item in offsets.items() for x in item]
        try:
            known = self._commit_offsets(
                keys=[sequence_key(sequence.writer), _log_key(log)], args=[sequence.number, SEQUENCE_TTL_S, *flat]
            )
        except RedisError as error:
            raise unavailable(error) from error
        if not known:
            raise lost(sequence)

    def publish(self, writes: Sequence[BatchWrite], sequence: WriteSequence | None = None) -> int:
        """See `OnlineStore.publish`."""
        assert sequence is None or len(writes) <= MOST_BLOBS, "a sequence number vouches for one pipeline"
        applied = 0
        try:
            for chunk in _chunks(writes):
                with self._redis.pipeline(transaction=False) as pipe:
                    for write in chunk:
                        flat = [x for item in write.blobs.items() for x in item]
                        self._publish(
                            keys=[batch_key(write.key)], args=[BATCH_TTL_S, int(write.takes_back), *flat], client=pipe
                        )
                    if sequence is not None:
                        self._next_write(
                            keys=[sequence_key(sequence.writer)], args=[sequence.number, SEQUENCE_TTL_S], client=pipe
                        )
                    counts: list[int] = pipe.execute()
                if sequence is not None and not counts.pop():
                    raise lost(sequence)
                applied += sum(counts)
                with self._redis.pipeline(transaction=False) as pipe:
                    for write in chunk:
                        if write.speed:
                            self._trim(keys=[write.key], args=[write.batch_end_ms, *write.speed], client=pipe)
                    pipe.execute()
        except RedisError as error:
            raise unavailable(error) from error
        return applied

    def advance_watermark(self, name: str, batch_end_ms: int) -> None:
        """See `OnlineStore.advance_watermark`."""
        try:
            self._advance(keys=[THROUGH_KEY], args=[name, batch_end_ms])
        except RedisError as error:
            raise unavailable(error) from error

    def take_back(
        self, entity: str, tile_specs: Collection[str], batch_end_ms: int, watermark: str | None = None
    ) -> int:
        """See `OnlineStore.take_back`."""
        removed = 0
        try:
            self._move_back(keys=[THROUGH_KEY], args=[watermark or entity, batch_end_ms])
            found = self._redis.scan_iter(match=f"{batch_key(speed_key(entity, ''))}*", count=ENTITIES_PER_SCAN)
            while keys := list(islice(found, ENTITIES_PER_CALL)):
                removed += cast("int", self._take_back(keys=keys, args=[batch_end_ms, *tile_specs]))
        except RedisError as error:
            raise unavailable(error) from error
        return removed

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """See `OnlineStore.read`."""
        try:
            found = snapshot(keys, self._ask(commands(keys)))
            if more := list(folded_commands(keys, found)):
                unfold(keys, found, self._ask(more))
            return found
        except RedisError as error:
            raise unavailable(error) from error

    def _ask(self, commands: Iterable[Command]) -> list[object]:
        asked = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]
        pool = self._redis.connection_pool
        connection = pool.get_connection()
        try:
            return connection.retry.call_with_retry(lambda: _answers(connection, asked), lambda _: None)
        finally:
            pool.release(connection)


def _answers(connection: Connection, asked: Sequence[bytes]) -> list[object]:
    """Redis's raw answers to packed commands; a pipeline of its client takes twice as long and converts them."""
    try:
        connection.send_packed_command([b"".join(asked)])  # type: ignore[no-untyped-call]
        return [connection.read_response(disable_decoding=True) for _ in asked]
    except BaseException:
        # What is still to come would be taken for the answer to somebody else.
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise


def commands(keys: Sequence[ReadKey]) -> Iterable[Command]:
    """What to ask Redis for to answer `keys`, in one pipeline; of equal keys once."""
    for key in dict.fromkeys(keys):
        name = speed_key(key.entity, key.id)
        if key.has_speed:
            yield ("HGETALL", name)
        if key.tile_specs:
            yield ("HMGET", batch_key(name), *key.tile_specs)
    yield ("HGETALL", THROUGH_KEY)


def snapshot(keys: Sequence[ReadKey], raw: list[object]) -> Snapshot:
    """What Redis answered to `commands(keys)`."""
    answers = iter(raw)
    replies: dict[ReadKey, EntityReply] = {}
    for key in dict.fromkeys(keys):
        speed = _mapping(next(answers)) if key.has_speed else {}
        replies[key] = EntityReply(speed, _blobs(key, next(answers)) if key.tile_specs else {})
    return Snapshot(
        [replies[key] for key in keys], {name.decode(): int(ms) for name, ms in _mapping(next(answers)).items()}
    )


def folded_commands(keys: Sequence[ReadKey], found: Snapshot) -> Iterable[Command]:
    """The commands of a second pipeline, which reads those of `keys` that have folded hours once more, and in full.

    Their blobs are read again as well, after the tiles: a publisher writes blobs before it removes the tiles that these
    replace, so no event is missed in between.
    """
    for key, reply in _folded(keys, found).items():
        name = speed_key(key.entity, key.id)
        asked = [other.asked for other in keys if other == key]
        args: list[str] = []
        if None not in asked:
            through = {tile_spec: int(blob[THROUGH_SLICE]) for tile_spec, blob in reply.batch.items()}
            from_ms = min((through.get(tile_spec, 0) for tile_spec in key.tile_specs), default=0)
            for tile_spec, (longest_ms, cuts) in cuts_of(filter(None, asked)).items():
                own = cuts.union(through.values())
                args += (tile_spec, str(from_ms), str(longest_ms), str(len(own)), *map(str, own))
        yield ("EVAL", READ_FOLDED, "1", name, *args)
        if key.tile_specs:
            yield ("HMGET", batch_key(name), *key.tile_specs)


def unfold(keys: Sequence[ReadKey], found: Snapshot, raw: list[object]) -> None:
    """Put what Redis answered to `folded_commands(keys, found)` into `found`."""
    answers = iter(raw)
    for key, reply in _folded(keys, found).items():
        flat = cast("Sequence[bytes]", next(answers))
        reply.speed = dict(zip(flat[::2], flat[1::2], strict=True))
        if key.tile_specs:
            reply.batch = _blobs(key, next(answers))


def _folded(keys: Sequence[ReadKey], found: Snapshot) -> dict[ReadKey, EntityReply]:
    return {key: reply for key, reply in zip(keys, found.replies, strict=True) if MARKER in reply.speed}


def _blobs(key: ReadKey, raw: object) -> dict[str, bytes]:
    blobs = cast("Sequence[bytes | None]", raw)
    return {t: b for t, b in zip(key.tile_specs, blobs, strict=True) if b is not None}


def _mapping(raw: object) -> dict[bytes, bytes]:
    return raw if isinstance(raw, dict) else {}


def _chunks(items: Sequence[T], size: int = MOST_BLOBS) -> Iterable[Sequence[T]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def sequence_key(writer: str) -> str:
    """Key of the number of a writer's last write."""
    return f"lamina:mark:{writer}"


def _log_key(log: str) -> str:
    return f"lamina:offsets:{log}"


def lost(sequence: WriteSequence) -> WritesLost:
    """The error that says that the server no longer knows of this write."""
    return WritesLost(
        f"Redis was restarted without all it had acknowledged: write {sequence.number} of {sequence.writer}"
    )


def unavailable(error: Exception) -> StoreUnavailable:
    """Any failure of the client as the one error that callers know."""
    # From within a script it is an error like any other.
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error):
        return StoreUnavailable("Redis is full: raise its maxmemory, or let fewer entities live")
    return StoreUnavailable(
        f"Redis did not answer ({type(error).__name__}): check `lamina status` and LAMINA_REDIS_URL"
    )

"""What an online store can do. Backends: `memory`, `redis`; every backend passes `tests/contract/online_store.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from lamina.store.blobs import THROUGH_SLICE
from lamina.store.edges import Asked

SPEED_TTL_S = 3 * 86_400
"""How long the speed layer keeps an entity after its last event: how many days the batch layer may be late."""


MOST_BLOBS = 500
"""Writes of blobs that a store takes in one step of a sequence."""


Command = tuple[str | bytes | int, ...]
"""Of Redis, by its words, to go along with a read."""


class TileWrite(NamedTuple):
    """A tile of the speed layer, as it stands on topic `feature-tiles`. A tuple, as many are made.

    An empty payload removes the field: the stream job no longer keeps the value, and it never comes back.
    """

    key: str
    field: str
    payload: bytes


class WriteSequence(NamedTuple):
    """Sequence number of a write by one writer: the server accepts `number` only after `number - 1`.

    A server that was restarted may have lost the newest writes that it acknowledged. A sequence number is written after
    its tiles, and a restart loses the newest writes first, so one that is still there proves that all writes up to it
    are.
    """

    writer: str
    number: int

    def next(self) -> WriteSequence:
        """That of the write after this one."""
        return WriteSequence(self.writer, self.number + 1)


@dataclass(frozen=True)
class BatchWrite:
    """The batch blobs of one entity, by tile spec id, and the ids of the speed tile specs that they stand in for.

    `key` is the entity's speed key, such as `user:7`. With `takes_back` they replace blobs of a later `through`, too.
    """

    key: str
    blobs: Mapping[str, bytes]
    speed: tuple[str, ...] = ()
    takes_back: bool = False

    @property
    def batch_end_ms(self) -> int:
        """Up to when all of its blobs are complete, epoch milliseconds."""
        return min(int(blob[THROUGH_SLICE]) for blob in self.blobs.values())


@dataclass(frozen=True)
class ReadKey:
    """An entity to read, and the tile spec ids of its batch layer. `has_speed` is False where no stream job writes it.

    asked: what the answer is for. A store may then answer with sums of many tiles in the place of tiles, as long as
    none lies on both sides of an edge; it may not where nothing is said.
    """

    entity: str
    id: str
    tile_specs: tuple[str, ...]
    has_speed: bool = True
    asked: Asked | None = field(default=None, compare=False)


@dataclass
class EntityReply:
    """What the store holds of one entity: the fields of its speed hash, and its batch blobs by tile spec id."""

    speed: Mapping[bytes, bytes] = field(default_factory=dict)
    batch: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class Snapshot:
    """One round trip's answer: replies in the order asked, and the watermarks: by entity up to when its batch layer
    was published, by `lamina.store.staleness.stream_watermark` the newest event of a source. `also` answers what went
    along with the read: values or exceptions.
    """

    replies: list[EntityReply]
    batch_end_ms: Mapping[str, int]
    also: Sequence[object] = ()


class OnlineStore(Protocol):
    """Tiles in, tiles out. Every write may be repeated: none regresses or doubles a value.

    Raises: StoreUnavailable: from any method, when the store does not answer; nothing is then known of the write.
    """

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        """Number of tiles that were written or removed; one whose event count is below the stored one is left out.

        Args: sequence: number of this write in a sequence that `begin` opened; a repetition has the same number.
        Raises: WritesLost: when the store no longer holds an earlier write of the sequence.
        """

    def begin(self, log: str, writer: str) -> Mapping[int, int]:
        """Open a sequence of writes from the log of this name, with number 0 taken; returns up to where, exclusively,
        each of the log's partitions is known to be in this store.
        """

    def identify(self, log: str, topic_id: str, *, anew: bool = False) -> str:
        """Id of the topic that the offsets of the log are of: `topic_id`, which is noted now, where none was.

        Args: anew: forget the offsets of another topic, and note `topic_id`.
        """

    def commit_offsets(self, log: str, sequence: WriteSequence, offsets: Mapping[int, int]) -> None:
        """Note that everything below `offsets`, by partition, is in this store; `sequence` is that of the last write.

        Raises: WritesLost: when the store no longer holds it; nothing is noted then.
        """

    def publish(self, writes: Sequence[BatchWrite], sequence: WriteSequence | None = None) -> int:
        """Number of blobs that were written; one whose `through` is before the stored one's is left out, unless its
        write takes back.

        Tiles of a write's speed tile specs that start before the `through` of all its blobs are removed afterwards.
        `sequence` is as in `write_tiles`, and asks for at most `MOST_BLOBS` writes at once.
        """

    def advance_watermark(self, name: str, batch_end_ms: int) -> None:
        """Say that all there is of `name` up to `batch_end_ms` is in the store; only `take_back` moves it back.

        Args: name: an entity, whose every blob is published; or a source by its
        `lamina.store.staleness.stream_watermark`.
        """

    def take_back(
        self, entity: str, tile_specs: Collection[str], batch_end_ms: int, watermark: str | None = None
    ) -> int:
        """Remove what says that it is complete later than `batch_end_ms`: blobs of the tile specs of `entity`, by their
        ids, and its watermark; returns the number of blobs. Speed tiles stay as they are.

        Args: watermark: its name there, see `lamina.store.staleness.batch_watermark`; None: that of the entity.
        """

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """What is stored of `keys`, in one round trip."""


class Listing(Protocol):
    """Says of whom an online store holds anything. Raises: StoreUnavailable: from its method."""

    def ids(self, entity: str) -> Iterator[str]:
        """Ids of an entity of which there are tiles or blobs, in no order, some of them twice, in many small steps.

        All that are there from the first step to the last; others, which come or expire meanwhile, may be.
        """


def speed_key(entity: str, entity_id: str) -> str:
    """Key of an entity's speed hash.

    >>> speed_key("user", "7")
    'user:7'
    """
    return f"{entity}:{entity_id}"


def batch_key(key: str) -> str:
    """Key of the batch hash beside a speed hash.

    >>> batch_key("user:7")
    'user_batch:7'
    """
    entity, _, entity_id = key.partition(":")
    return f"{entity}_batch:{entity_id}"

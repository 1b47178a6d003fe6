"""Messages of topic `feature-tiles` as one write to the online store. Hot path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import FEATURE_TILES
from lamina.store.protocol import SPEED_TTL_S, TileWrite
from lamina.streams import dead_letters

if TYPE_CHECKING:
    from confluent_kafka import Message


@dataclass
class Batch:
    """Messages as tiles: of each tile the newest, what could not be read, and each partition's next offset.

    oldest_ms: when the oldest message was written to Kafka. newest_ms: by source the start of the newest tile of up to
    a minute that is not in the future, so the newest event's time to the length of its tile. late: tiles so old that
    the stream job may have forgotten earlier events of theirs, which the batch layer corrects.
    """

    tiles: list[TileWrite] = field(default_factory=list)
    broken: list[DeadLetter] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    oldest_ms: int | None = None
    newest_ms: dict[str, int] = field(default_factory=dict)
    late: int = 0

    @property
    def newest_event_ms(self) -> int | None:
        """Time of the newest event of any source, None when no tile tells."""
        return max(self.newest_ms.values(), default=None)


def read_tile(key: bytes | None, payload: bytes | None) -> TileWrite | str:
    r"""The tile in a message, or a sentence saying why there is none. A message without a value asks for a removal.

    >>> read_tile(b"user:7\ttransactions@1s#ab12cd/1533686400000", b"1\x1f2.5").key
    'user:7'
    >>> read_tile(b"user:7", b"1")
    'key: not <entity>:<id>, a tab and <tile spec>/<start>'
    """
    try:
        entity_key, tab, name = (key or b"").decode().partition("\t")
    except UnicodeDecodeError:
        return "key: not UTF-8"
    if not tab or ":" not in entity_key or "/" not in name:
        return "key: not <entity>:<id>, a tab and <tile spec>/<start>"
    if payload is None:
        return TileWrite(entity_key, name, b"")
    if not payload.partition(b"\x1f")[0].isdigit():
        return "payload: does not start with an event count"
    return TileWrite(entity_key, name, payload)


def make_batch(messages: Iterable[Message], at_ms: int) -> Batch:
    """What `messages`, in order of arrival, ask to be written or removed."""
    batch = Batch()
    newest: dict[bytes | None, TileWrite] = {}
    for message in messages:
        key, payload = message.key(), message.value()
        # Typed as optional for the sake of messages that are errors, which do not come here.
        partition: int = message.partition()  # type: ignore[assignment]
        offset: int = message.offset()  # type: ignore[assignment]
        batch.offsets[partition] = offset + 1
        written_ms = message.timestamp()[1]
        if batch.oldest_ms is None or written_ms < batch.oldest_ms:
            batch.oldest_ms = written_ms
        tile = read_tile(key, payload)
        if isinstance(tile, TileWrite):
            newest[key] = tile
        else:
            batch.broken.append(dead_letters.make_letter(FEATURE_TILES, partition, offset, tile, payload or b"", at_ms))
    batch.tiles = list(newest.values())
    _date(batch, at_ms)
    return batch


def _date(batch: Batch, at_ms: int) -> None:
    newest, horizon_ms = batch.newest_ms, at_ms - 1000 * SPEED_TTL_S
    for tile in batch.tiles:
        tile_spec, _, start = tile.field.partition("/")
        # A value of a distinct state has its own tile beside one that has only digits here.
        if start.isdigit() and _is_fine(tile_spec):
            start_ms = int(start)
            batch.late += start_ms < horizon_ms
            source = tile_spec.partition("@")[0]
            if newest.get(source, 0) < start_ms <= at_ms:
                newest[source] = start_ms


@lru_cache
def _is_fine(tile_spec: str) -> bool:
    """Whether tiles of a tile spec such as `transactions@1s#ab12cd` are a minute long at most."""
    length = tile_spec.partition("#")[0].rpartition("@")[2]
    return length.endswith("s") or length == "1m"


def is_data(message: Message) -> bool:
    """Whether a message holds data, and is no word of the client about a state that passes.

    Raises: KafkaException: it tells of a failure that lasts.
    """
    from confluent_kafka import KafkaError, KafkaException

    error = message.error()
    if error is None:
        return True
    if error.retriable() or error.code() in (KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN):
        return False
    raise KafkaException(error)

"""Whether a peer computed what lamina's stream job computed: each tile it sent beside ours with as many events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from lamina.semantics.plan import TileSpec
from lamina.semantics.reference import equal_numbers
from lamina.semantics.states import PART_SEPARATOR
from lamina.store.tiles import TileColumns, decode_speed, event_count

Message = tuple[bytes, bytes]
"""Key and payload of a tile."""


def different(tile_spec: TileSpec, ours: Iterable[Message], theirs: Iterable[Message]) -> int:
    """How many of the tiles sent by a peer are not equal to that of ours, or have none."""
    expected = {(key, event_count(payload)): payload for key, payload in theirs}
    wrong = set(expected)
    for key, payload in ours:
        name = (key, event_count(payload))
        if name in wrong and same(tile_spec, key, payload, expected[name]):
            wrong.remove(name)
    return len(wrong)


def same(tile_spec: TileSpec, key: bytes, one: bytes, other: bytes) -> bool:
    """Whether two payloads of a tile say the same: whole numbers exactly, others to nine digits, sets in any order."""
    a, b = (decode_speed((tile_spec,), {key.partition(b"\t")[2]: p}, {})[tile_spec.id].tiles for p in (one, other))
    return a.n == b.n and _numbers(a, b) and _texts(a) == _texts(b) and _sets(a) == _sets(b)


def tiles_on(bootstrap: str, topic: str) -> Iterator[Message]:
    """Key and payload of every message that is on `topic` now; messages that remove a tile are passed over."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "agreement", "enable.auto.commit": False})
    try:
        left = {}
        for p in consumer.list_topics(topic, 30).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), 30)
            if low < high:
                left[p] = high
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in left])
        while left:
            for message in consumer.consume(5000, 0.2):
                p, offset, value = message.partition() or 0, message.offset() or 0, message.value()
                if p in left and offset < left[p] and value:
                    yield bytes(message.key() or b""), bytes(value)
                if p in left and offset >= left[p] - 1:
                    del left[p]
    finally:
        consumer.close()


def _numbers(a: TileColumns, b: TileColumns) -> bool:
    pairs = (pair for x, y in zip(a.numeric, b.numeric, strict=True) for pair in zip(x, y, strict=True))
    return all(_equal(x, y) for x, y in pairs)


def _equal(x: float, y: float) -> bool:
    if x != x or y != y:
        return x != x and y != y
    # A sum of squared deviations of two equal amounts is nothing, or nearly so.
    return equal_numbers(x, y, absolute=1e-6)


def _texts(tile: TileColumns) -> list[tuple[str, str, float] | None]:
    found: list[tuple[str, str, float] | None] = []
    for text in (text for column in tile.texts for text in column):
        at, event_id, value = text.split(PART_SEPARATOR) if text else ("", "", "nan")
        found.append((at, event_id, float(value)) if text else None)
    return found


def _sets(tile: TileColumns) -> list[set[str]]:
    return [set(values) for column in tile.sets for values in column]

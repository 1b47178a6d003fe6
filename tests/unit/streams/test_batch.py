from __future__ import annotations

import base64

import pytest
from confluent_kafka import Message

from lamina.clock import DAY_MS
from lamina.store.protocol import SPEED_TTL_S, TileWrite
from lamina.streams.batch import make_batch, read_tile

NOW = 1_533_729_600_000
KEY = b"user:7\ttransactions@1s#ab12cd/1533686400000"


def message(
    key: bytes | None, value: bytes | None, *, partition: int = 0, offset: int = 0, at_ms: int = NOW
) -> Message:
    return Message(
        topic="feature-tiles", partition=partition, offset=offset, key=key, value=value, timestamp=(1, at_ms)
    )


@pytest.mark.parametrize("key", [KEY, KEY + b"/0/a/b", "user:\u00e9:1\tx@1s#a/1".encode()])
def test_a_tile_is_moved_as_it_is(key: bytes) -> None:
    tile = read_tile(key, b"12\x1f2.5\x1f")
    assert isinstance(tile, TileWrite)
    assert (f"{tile.key}\t{tile.field}".encode(), tile.payload) == (key, b"12\x1f2.5\x1f")


@pytest.mark.parametrize(
    ("key", "payload", "reason"),
    [
        (None, b"1", "key"),
        (b"", b"1", "key"),
        (b"user:7", b"1", "key"),
        (b"7\ttransactions@1s#a/1", b"1", "key"),
        (b"user:7\ttransactions", b"1", "key"),
        (b"user:\xff\tx/1", b"1", "UTF-8"),
        (KEY, b"", "payload"),
        (KEY, b"-1\x1f2", "payload"),
        (KEY, b"x\x1f2", "payload"),
    ],
)
def test_what_is_no_tile_is_named(key: bytes | None, payload: bytes, reason: str) -> None:
    found = read_tile(key, payload)
    assert isinstance(found, str)
    assert reason in found


def test_of_each_tile_the_last_is_written() -> None:
    other = KEY + b"/0/m"
    batch = make_batch([message(KEY, b"1"), message(other, b"1"), message(KEY, b"2"), message(KEY, b"3")], NOW)
    assert [(t.field.count("/"), t.payload) for t in batch.tiles] == [(1, b"3"), (3, b"1")]


def test_offsets_are_those_after_the_batch() -> None:
    batch = make_batch(
        [message(KEY, b"1", partition=p, offset=o) for p, o in ((0, 5), (1, 7), (0, 6))]
        + [message(b"?", b"1", partition=2)],
        NOW,
    )
    assert batch.offsets == {0: 7, 1: 8, 2: 1}


def test_a_tombstone_removes_its_tile() -> None:
    batch = make_batch([message(KEY, b"1"), message(KEY, None, offset=1)], NOW)
    assert [t.payload for t in batch.tiles] == [b""]
    assert batch.offsets == {0: 2}
    assert batch.broken == []


def test_a_broken_message_is_written_down() -> None:
    (letter,) = make_batch([message(b"user:7", b"1\xff", partition=3, offset=9)], NOW).broken
    assert (letter.topic, letter.partition, letter.offset, letter.timestamp) == ("feature-tiles", 3, 9, NOW)
    assert base64.b64decode(letter.raw) == b"1\xff"


def test_the_age_of_a_batch_is_that_of_its_oldest_message() -> None:
    assert make_batch([message(KEY, b"1", at_ms=NOW - 3), message(KEY, b"1", at_ms=NOW - 9)], NOW).oldest_ms == NOW - 9
    assert make_batch([message(KEY, b"1", at_ms=NOW - age) for age in (3, 9, 5)], NOW).oldest_ms == NOW - 9
    assert make_batch([], NOW).oldest_ms is None


@pytest.mark.parametrize(
    ("tiles", "newest", "late"),
    [
        ({"x@1s": [NOW - 5000, NOW - 2000]}, NOW - 2000, 0),
        ({"x@1s": [NOW - 5000, NOW + 3_600_000]}, NOW - 5000, 0),  # a clock that is ahead
        ({"x@1s": [NOW - 5000], "x@1d": [NOW - 1000]}, NOW - 5000, 0),  # the start of a day says little
        ({"x@1d": [NOW - 1000]}, None, 0),
        ({"x@1m": [NOW - 60_000, NOW - 3 * DAY_MS - 1]}, NOW - 60_000, 1),
        ({}, None, 0),
    ],
)
def test_the_age_of_events_is_read_from_their_tiles(tiles: dict[str, list[int]], newest: int | None, late: int) -> None:
    keys = [f"user:7\t{tile_spec}#ab12cd/{start}".encode() for tile_spec, starts in tiles.items() for start in starts]
    batch = make_batch([message(key, b"1") for key in keys], NOW)
    assert (batch.newest_event_ms, batch.late) == (newest, late)


def test_the_newest_event_is_told_by_source() -> None:
    keys = [
        f"user:7\t{tile_spec}#ab12cd/{start}".encode() for tile_spec, start in (("x@1s", NOW - 9), ("y@1s", NOW - 5))
    ]
    assert make_batch([message(key, b"1") for key in keys], NOW).newest_ms == {"x": NOW - 9, "y": NOW - 5}


@pytest.mark.parametrize(
    ("tile_spec", "fine"),
    [
        ("x@1s", True),
        ("x@30s", True),
        ("x@1m", True),
        ("x@5m", False),
        ("x@2m", False),
        ("x@1h", False),
        ("x@1d", False),
    ],
)
def test_only_tiles_of_up_to_a_minute_tell_the_time(tile_spec: str, fine: bool) -> None:
    batch = make_batch([message(f"user:7\t{tile_spec}#ab/{NOW}".encode(), b"1")], NOW)
    assert batch.newest_event_ms == (NOW if fine else None)


def test_a_tile_is_late_when_it_began_before_the_speed_layer_does() -> None:
    begins = NOW - 1000 * SPEED_TTL_S
    for start, late in ((begins - 1, 1), (begins, 0), (begins + 1, 0)):
        assert make_batch([message(f"user:7\tx@1s#ab/{start}".encode(), b"1")], NOW).late == late


def test_a_tile_in_the_future_or_of_a_value_tells_no_time() -> None:
    for name, newest in ((f"{NOW}", NOW), (f"{NOW + 1}", None), (f"{NOW}/0/m", None)):
        assert make_batch([message(f"user:7\tx@1s#ab/{name}".encode(), b"1")], NOW).newest_event_ms == newest
    many = [message(f"user:{n}\tx@1s#ab/{start}".encode(), b"1") for n, start in enumerate((NOW - 1, NOW - 5))]
    assert make_batch(many, NOW).newest_ms == {"x": NOW - 1}

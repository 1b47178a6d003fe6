"""What Redis is asked for, and how its answers are taken; no server is needed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError, TimeoutError

from lamina.errors import StoreUnavailable
from lamina.store.blobs import encode_batch
from lamina.store.edges import Asked, Edges
from lamina.store.protocol import MOST_BLOBS, BatchWrite, EntityReply, ReadKey, Snapshot, WriteSequence
from lamina.store.redis import RedisStore, commands, folded_commands, snapshot, unavailable, unfold
from lamina.store.tiles import TileColumns

NOON = 1_533_729_600_000
EDGES = (Edges("t", 3_600_000, ((1000, 59_000),)),)
SPEED_ONLY, BATCH_ONLY, BOTH = (
    ReadKey("user", "7", ()),
    ReadKey("user", "8", ("a",), has_speed=False),
    ReadKey("user", "9", ("a", "b")),
)


def blob(batch_end_ms: int) -> bytes:
    return encode_batch(batch_end_ms, TileColumns([], [], []))


def folded(key: ReadKey, **batch: bytes) -> Snapshot:
    return Snapshot([EntityReply({b"~": b""}, batch)], {})


def arguments(keys: Sequence[ReadKey], found: Snapshot) -> list[str]:
    """Those of the one script that is called, behind the key."""
    (called,) = [command for command in folded_commands(keys, found) if command[0] == "EVAL"]
    assert called[2:4] == ("1", f"user:{keys[0].id}")
    return [str(argument) for argument in called[4:]]


def test_of_each_entity_only_what_it_has_is_asked_and_of_equal_ones_once() -> None:
    assert list(commands([SPEED_ONLY, BATCH_ONLY, BOTH, BATCH_ONLY])) == [
        ("HGETALL", "user:7"),
        ("HMGET", "user_batch:8", "a"),
        ("HGETALL", "user:9"),
        ("HMGET", "user_batch:9", "a", "b"),
        ("HGETALL", "lamina:through"),
    ]


def test_answers_are_taken_in_the_order_of_the_commands() -> None:
    tiles, others = {b"t/1": b"2"}, {b"t/2": b"3"}
    found = snapshot([SPEED_ONLY, BATCH_ONLY, BOTH, BATCH_ONLY], [tiles, [b"x"], others, [None, b"y"], {b"user": b"5"}])
    assert found.replies == [
        EntityReply(tiles, {}),
        EntityReply({}, {"a": b"x"}),
        EntityReply(others, {"b": b"y"}),
        EntityReply({}, {"a": b"x"}),
    ]
    assert found.batch_end_ms == {"user": 5}
    assert snapshot([SPEED_ONLY], [[], []]) == Snapshot([EntityReply()], {}), "an empty hash may come as a list"


def test_an_ordinary_key_is_not_asked_for_again() -> None:
    assert list(folded_commands([BOTH], Snapshot([EntityReply({b"t/1": b"2"}, {})], {}))) == []


def test_a_folded_key_is_read_for_all_questions_at_once() -> None:
    first, second = (ReadKey("user", "7", ("a",), asked=Asked(at, EDGES)) for at in (NOON, NOON + 5000))
    found = Snapshot(folded(first, a=blob(NOON - 9)).replies * 2, {})
    tile_spec, from_ms, longest_ms, n, *cuts = arguments([first, second], found)
    assert (tile_spec, from_ms, longest_ms, n) == ("t", str(NOON - 9), "3600000", "3")
    assert set(cuts) == {str(NOON - 59_000), str(NOON - 54_000), str(NOON - 9)}


def test_every_tile_is_read_where_one_does_not_say_what_for() -> None:
    said, unsaid = ReadKey("user", "7", (), asked=Asked(NOON, EDGES)), ReadKey("user", "7", ())
    assert arguments([said, unsaid], Snapshot(folded(said).replies * 2, {})) == []
    assert arguments([unsaid], folded(unsaid)) == []


@pytest.mark.parametrize(
    ("batch", "from_ms"),
    [
        ({}, 0),
        ({"a": blob(NOON)}, 0),
        ({"b": blob(NOON)}, 0),
        ({"a": blob(NOON), "b": blob(NOON - 1)}, NOON - 1),
        ({"a": blob(NOON - 2), "b": blob(NOON)}, NOON - 2),
    ],
)
def test_tiles_are_of_use_from_where_the_first_of_all_blobs_ends(batch: dict[str, bytes], from_ms: int) -> None:
    key = ReadKey("user", "9", ("a", "b"), asked=Asked(NOON, EDGES))
    assert arguments([key], folded(key, **batch))[1] == str(from_ms)


def test_what_was_folded_takes_the_place_of_what_was_read_first() -> None:
    """The blobs, too: between the two answers the batch layer may have come."""
    key, plain = ReadKey("user", "9", ("a", "b")), ReadKey("user", "7", ())
    found = Snapshot([EntityReply({b"~": b""}, {}), EntityReply({b"t/1": b"2"}, {})], {})
    unfold([key, plain], found, [[b"t/0", b"5", b"t/9", b"6"], [b"x", None]])
    assert found.replies == [EntityReply({b"t/0": b"5", b"t/9": b"6"}, {"a": b"x"}), EntityReply({b"t/1": b"2"}, {})]


def test_a_mark_vouches_for_no_more_than_one_pipeline() -> None:
    writes = [BatchWrite(f"user:{i}", {"a": blob(NOON)}) for i in range(MOST_BLOBS + 1)]
    with pytest.raises(AssertionError, match="one pipeline"):
        RedisStore("redis://127.0.0.1:1/0").publish(writes, WriteSequence("w", 1))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutOfMemoryError("x"), "maxmemory"),
        (ResponseError("script: OOM command not allowed when used memory > 'maxmemory'"), "Redis is full"),
        (ResponseError("x"), "did not answer .ResponseError.: check `lamina status`"),
        (TimeoutError("x"), "did not answer .TimeoutError."),
    ],
)
def test_a_failure_says_what_to_do(error: Exception, words: str) -> None:
    with pytest.raises(StoreUnavailable, match=words):
        raise unavailable(error)

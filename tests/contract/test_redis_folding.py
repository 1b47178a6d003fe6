"""The tree of a key with many tiles: made, kept right, trimmed and forgotten, whoever writes at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import pytest
from redis import Redis

from lamina.definitions import load
from lamina.errors import CodecError
from lamina.semantics.plan import TileSpec, make_plan
from lamina.store.blobs import encode_batch
from lamina.store.edges import Asked, edges_of
from lamina.store.folded import Folder, Hour, hours_of, is_whole
from lamina.store.protocol import SPEED_TTL_S, BatchWrite, EntityReply, ReadKey, TileWrite
from lamina.store.redis import TREE_TTL_S, RedisStore
from lamina.store.redis_folding import Folding
from lamina.store.redis_scripts import LARGEST, MOST_FIELDS
from lamina.store.tiles import TileColumns, encode_speed

PLAN = make_plan(load("fraud"))
USER = PLAN.features.entities[0]
TILE_SPEC: TileSpec = PLAN.speed[0]
NOON = 1_533_729_600_000
KEY = "user:7"
MANY = MOST_FIELDS + 50

pytestmark = pytest.mark.services


@pytest.fixture
def client(clean_redis: str) -> Iterator[Redis]:
    with Redis.from_url(clean_redis) as client:
        yield client


@pytest.fixture
def store(clean_redis: str) -> RedisStore:
    return RedisStore(clean_redis, folder=Folder(PLAN.speed))


def tile(start_ms: int, n: int = 1, amount: float = 2.0) -> TileWrite:
    states = [n, amount * n, n, start_ms + 1, None, None, None, 0.0, amount]
    payload = encode_speed(n, states, [["00000000000000aa"], ["00000000000000bb"]])
    return TileWrite(KEY, f"{TILE_SPEC.id}/{start_ms}", payload)


def tiles(n: int, begin_ms: int = NOON) -> list[TileWrite]:
    return [tile(begin_ms + 1000 * i) for i in range(n)]


def read(store: RedisStore, at_ms: int | None) -> Mapping[bytes, bytes]:
    asked = None if at_ms is None else Asked(at_ms, edges_of(PLAN, USER))
    return store.read([ReadKey("user", "7", (TILE_SPEC.id,), asked=asked)]).replies[0].speed


def events(fields: Mapping[bytes, bytes]) -> int:
    return sum(int(payload.partition(b"\x1f")[0]) for payload in fields.values())


def as_written(writes: Sequence[TileWrite]) -> dict[bytes, bytes]:
    return {w.field.encode(): w.payload for w in writes}


def test_few_tiles_lie_in_one_hash(store: RedisStore, client: Redis) -> None:
    store.write_tiles(tiles(MOST_FIELDS))
    assert client.keys("*") == [KEY.encode()]
    assert client.hlen(KEY) == MOST_FIELDS


def test_many_tiles_are_read_as_few(store: RedisStore, client: Redis) -> None:
    written = tiles(7200)
    for i in range(0, len(written), 700):
        store.write_tiles(written[i : i + 700])
    at_ms = NOON + 7_200_000 - 1
    found = read(store, at_ms)
    assert events(found) == 7200
    assert len(found) < 250
    assert client.hlen(KEY) < 10
    assert read(store, None) == as_written(written)
    # The newest minute changes with the next event: nobody adds it up before.
    (newest,) = [h for h in hours(client) if h.start_ms == NOON + 3_600_000]
    whole = [name for name, value in client.hgetall(newest.node).items() if is_whole(cast(bytes, value))]
    assert len(whole) == 59


def test_an_hour_is_added_up_when_the_next_has_begun(store: RedisStore, client: Redis) -> None:
    """Until then nobody even tries: each try would read all its minutes."""

    def sums() -> dict[int, bytes]:
        return {h.start_ms: cast(bytes, client.hget(KEY, h.field)) for h in hours(client)}

    store.write_tiles(tiles(3600))
    assert sums() == {NOON: b""}
    store.write_tiles([tile(NOON + 3_600_000)])
    found = sums()
    assert is_whole(found.pop(NOON))
    assert found == {NOON + 3_600_000: b""}
    assert sorted(p.partition(b"\x1f")[0] for p in read(store, NOON + 86_399_999).values()) == [b"1", b"3600"]


def test_a_late_event_is_counted_at_once_and_its_sums_are_made_anew(store: RedisStore, client: Redis) -> None:
    store.write_tiles(tiles(7200))
    at_ms = NOON + 7_200_000 - 1
    late = tile(NOON + 5000, 3, 7.0)
    bare = RedisStore("redis://" + client_address(client))  # as one that cannot add up
    assert bare.write_tiles([late]) == 1
    assert events(read(store, at_ms)) == 7202
    store.write_tiles([tile(NOON + 7_200_000)])
    found = read(store, at_ms + 1000)
    assert events(found) == 7203
    assert len(found) < 250
    (hour,) = [h for h in hours(client) if h.start_ms == NOON]
    assert is_whole(cast(bytes, client.hget(KEY, hour.field)))


def hours(client: Redis) -> list[Hour]:
    return hours_of(KEY, cast("list[bytes]", client.hkeys(KEY)))


def client_address(client: Redis) -> str:
    kwargs = client.connection_pool.connection_kwargs
    return f"{kwargs['host']}:{kwargs['port']}/{kwargs.get('db', 0)}"


def test_a_folded_tile_never_goes_back(store: RedisStore) -> None:
    store.write_tiles(tiles(MANY))
    assert store.write_tiles([tile(NOON, 3)]) == 1
    assert store.write_tiles([tile(NOON, 2)]) == 0
    assert store.write_tiles([tile(NOON, 3)]) == 1
    assert read(store, None)[tile(NOON).field.encode()] == tile(NOON, 3).payload


def test_a_value_is_removed_from_a_folded_hour(store: RedisStore) -> None:
    store.write_tiles(tiles(MANY))
    gone = tile(NOON)._replace(payload=b"")
    assert [store.write_tiles([gone]), store.write_tiles([gone])] == [1, 0]
    assert gone.field.encode() not in read(store, None)
    assert events(read(store, NOON + 86_399_999)) == MANY - 1


def test_a_repeated_write_leaves_the_sums(store: RedisStore, client: Redis) -> None:
    """A replay of the topic must not cost a sum for each tile."""
    store.write_tiles(tiles(3700))
    before = {key: client.hgetall(key) for key in client.keys("*") if b"_minute" not in key}
    RedisStore("redis://" + client_address(client)).write_tiles(tiles(3700))  # one that makes no sums
    assert {key: client.hgetall(key) for key in client.keys("*") if b"_minute" not in key} == before


def test_hashes_from_before_are_folded_with_the_next_tile(store: RedisStore, client: Redis) -> None:
    """Also those that were written when there was no folding."""
    written = tiles(4000)
    client.hset(KEY, mapping=as_written(written))  # type: ignore[arg-type]
    store.write_tiles([tile(NOON + 4_000_000)])
    assert client.hlen(KEY) < 10
    assert read(store, None) == as_written([*written, tile(NOON + 4_000_000)])


def test_a_very_large_hash_from_before_is_left(store: RedisStore, client: Redis) -> None:
    """Folding it would hold up everybody else for seconds. Many tiles in one write are folded all the same."""
    written = tiles(LARGEST + 1)
    client.hset(KEY, mapping=as_written(written))  # type: ignore[arg-type]
    late = tile(NOON + 1000 * len(written))
    assert store.write_tiles([late]) == 1
    assert client.keys("*") == [KEY.encode()]
    assert read(store, None) == as_written([*written, late])
    client.delete(KEY)
    store.write_tiles(written)
    assert client.hlen(KEY) < 10


@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_emptied_hash_is_filled_again(store: RedisStore, client: Redis, n: int) -> None:
    """It is emptied by hand, or expires before what lies below it; what was newer there stays."""
    before = [tile(NOON + 1000 * i, 2) for i in range(MANY)]
    store.write_tiles(before)
    client.delete(KEY)
    again = [tile(NOON + 1000 * i, n) for i in range(MANY)]
    store.write_tiles(again)
    assert read(store, None) == as_written(again if n > 2 else before)
    found = read(store, NOON + 86_399_999)
    assert events(found) == MANY * max(n, 2)
    assert len(found) < 100


def test_a_hash_that_is_emptied_while_folded_is_whole_with_the_next_replay(store: RedisStore, client: Redis) -> None:
    store.write_tiles(tiles(4000))
    client.hdel(KEY, *(hour.field for hour in hours(client)))
    store.write_tiles(tiles(4000))
    assert events(read(store, NOON + 86_399_999)) == 4000


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiles_of_a_sink_that_does_not_fold_are_counted_once(store: RedisStore, client: Redis, n: int) -> None:
    """While versions change, one of before may write to a folded key; of two tiles that with more events counts."""
    store.write_tiles([tile(NOON + 1000 * i, 2) for i in range(7200)])
    other, new = tile(NOON + 61_000, n), tile(NOON + 7_200_000, n)
    client.hset(KEY, mapping=as_written([other, new]))  # type: ignore[arg-type]
    expected = 2 * 7199 + max(n, 2) + n
    found = read(store, NOON + 7_200_000)
    assert events(found) == expected
    assert len(found) < 400
    assert events(read(store, None)) == expected
    store.write_tiles([other])
    assert events(read(store, NOON + 7_200_000)) == expected
    assert client.hlen(KEY) < 10


def test_what_changes_below_a_sum_while_it_is_computed_is_not_lost(store: RedisStore, client: Redis) -> None:
    """A sum whose parts were written meanwhile is not taken."""
    bare = RedisStore("redis://" + client_address(client))
    bare.write_tiles(tiles(MANY))

    class Interrupted(Folder):
        def sum(self, tile_spec_id: str, fields: Mapping[bytes, bytes], length_ms: int) -> bytes:
            total = super().sum(tile_spec_id, fields, length_ms)
            bare.write_tiles([tile(NOON, 5)])
            return total

    Folding(client, Interrupted(PLAN.speed)).fold([KEY])
    assert events(read(store, NOON + 86_399_999)) == MANY + 4
    Folding(client, Folder(PLAN.speed)).fold([KEY])
    found = read(store, NOON + 86_399_999)
    assert events(found) == MANY + 4
    assert len(found) < 100


def test_tiles_of_an_unknown_tile_spec_stay_tiles(client: Redis, store: RedisStore) -> None:
    other = [t._replace(field=t.field.replace("#", "#0")) for t in tiles(MANY)]
    store.write_tiles(other)
    assert read(store, None) == as_written(other)


def test_a_broken_tile_stops_nobody(store: RedisStore, caplog: pytest.LogCaptureFixture) -> None:
    broken = [*tiles(MANY), TileWrite(KEY, f"{TILE_SPEC.id}/{NOON + 500}", b"1\x1fx")]
    store.write_tiles(broken)
    assert "is not added up" in caplog.text
    assert read(store, None) == as_written(broken)


def test_hours_before_the_batch_layers_end_are_removed_with_all_below(store: RedisStore, client: Redis) -> None:
    store.write_tiles([*tiles(4000, NOON - 3_600_000), *tiles(10, NOON + 7_200_000)])
    blob = encode_batch(NOON, TileColumns([NOON - 1000], [1], [[1.0]] * 7, [[None]] * 2, [[[]]] * 2), TILE_SPEC.hashed)
    store.publish([BatchWrite(KEY, {TILE_SPEC.id: blob}, (TILE_SPEC.id,))])
    assert {h.start_ms for h in hours(client)} == {NOON, NOON + 7_200_000}
    assert events(read(store, None)) == 410
    store.publish([BatchWrite(KEY, {TILE_SPEC.id: encode_later(NOON + 86_400_000)}, (TILE_SPEC.id,))])
    assert client.keys("user*") == [b"user_batch:7"]


def encode_later(batch_end_ms: int) -> bytes:
    return encode_batch(batch_end_ms, TileColumns([], [], [[]] * 7, [[]] * 2, [[]] * 2), TILE_SPEC.hashed)


def test_every_part_expires(store: RedisStore, client: Redis) -> None:
    store.write_tiles(tiles(4000))
    lives = {key: client.ttl(key) for key in client.keys("*")}
    assert len(lives) > 60
    assert 0 < lives.pop(KEY.encode()) <= SPEED_TTL_S
    assert all(SPEED_TTL_S < life <= TREE_TTL_S for life in lives.values())


def test_a_sum_needs_its_parts_to_be_readable() -> None:
    with pytest.raises(CodecError):
        Folder(PLAN.speed).sum(TILE_SPEC.id, {f"{TILE_SPEC.id}/0".encode(): b"1\x1fx"}, 60_000)
    assert Folder(PLAN.speed).sum(TILE_SPEC.id, {}, 60_000) == b""


def test_nothing_is_asked_twice_of_ordinary_keys(store: RedisStore) -> None:
    store.write_tiles(tiles(3))
    assert store.read([ReadKey("user", "7", ())]).replies == [EntityReply(as_written(tiles(3)))]

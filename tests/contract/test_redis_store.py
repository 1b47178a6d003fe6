from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from lamina.errors import StoreUnavailable
from lamina.store.protocol import SPEED_TTL_S, BatchWrite, OnlineStore
from lamina.store.redis import BATCH_TTL_S, AsyncRedisReader, RedisStore
from tests.contract.online_store import NOON, TILING, USER, OnlineStoreContract, blob, tile

NOBODY = "redis://127.0.0.1:1/0"


@pytest.mark.services
class TestRedisStore(OnlineStoreContract):
    @pytest.fixture
    def store(self, clean_redis: str) -> OnlineStore:
        return RedisStore(clean_redis)

    def test_both_hashes_expire(self, clean_redis: str, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        store.publish([BatchWrite("user:7", {TILING: blob(NOON)})])
        client = Redis.from_url(clean_redis)
        assert 0 < client.ttl("user:7") <= SPEED_TTL_S < client.ttl("user_batch:7") <= BATCH_TTL_S
        client.close()

    def test_a_restarted_server_takes_scripts_again(self, clean_redis: str, store: OnlineStore) -> None:
        """A server that was restarted knows no script; the store sends it once more."""
        store.write_tiles([tile(1)])
        client = Redis.from_url(clean_redis)
        client.script_flush()
        client.close()
        assert store.write_tiles([tile(2)]) == 1

    def test_the_asynchronous_reader_answers_alike(self, clean_redis: str, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        store.publish([BatchWrite("user:7", {TILING: blob(NOON - 1)})])
        store.announce("user", NOON)

        async def read() -> object:
            reader = AsyncRedisReader(clean_redis, timeout_ms=5000)
            try:
                await reader.ping()
                return await reader.read([USER])
            finally:
                await reader.close()

        assert asyncio.run(read()) == store.read([USER])


def test_a_silent_server_is_named() -> None:
    store = RedisStore(NOBODY, timeout_ms=200)
    for call in (
        lambda: store.write_tiles([tile(1)]),
        lambda: store.publish([BatchWrite("user:7", {TILING: blob(NOON)})]),
        lambda: store.announce("user", NOON),
        lambda: store.read([USER]),
    ):
        with pytest.raises(StoreUnavailable, match="LAMINA_REDIS_URL"):
            call()

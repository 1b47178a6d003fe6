from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from lamina.errors import StoreUnavailable
from lamina.store.progress import PROGRESS_TTL_S, Progress
from lamina.store.protocol import SPEED_TTL_S, BatchWrite, OnlineStore, ReadKey, Snapshot, WriteSequence
from lamina.store.redis import BATCH_TTL_S, SEQUENCE_TTL_S, RedisStore, sequence_key
from lamina.store.redis_reader import LANES, AsyncRedisReader
from tests.contract.online_store import NOON, TILE_SPEC, USER, OnlineStoreContract, blob, tile

NOBODY = "redis://127.0.0.1:1/0"


@pytest.mark.services
class TestRedisStore(OnlineStoreContract):
    @pytest.fixture
    def store(self, clean_redis: str) -> OnlineStore:
        return RedisStore(clean_redis)

    def test_both_hashes_expire(self, clean_redis: str, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON)})])
        client = Redis.from_url(clean_redis)
        assert 0 < client.ttl("user:7") <= SPEED_TTL_S < client.ttl("user_batch:7") <= BATCH_TTL_S
        client.close()

    def test_whatever_is_written_again_lives_on(self, clean_redis: str, store: OnlineStore) -> None:
        """A writer that only settles for a day, as an idle sink does, is still known; and so is everything else."""
        client, sequence = Redis.from_url(clean_redis), sequence_key("w")

        def lives(key: str) -> int:
            left = int(client.ttl(key))
            client.expire(key, 5)  # as if the rest of it had passed
            return left

        store.begin("log", "w")
        assert SEQUENCE_TTL_S - 5 <= lives(sequence) <= SEQUENCE_TTL_S
        for step in (
            lambda: store.commit_offsets("log", WriteSequence("w", 0), {0: 1}),
            lambda: store.write_tiles([tile(1)], WriteSequence("w", 1)),
            lambda: store.commit_offsets("log", WriteSequence("w", 1), {0: 2}),
            lambda: store.write_tiles([tile(1)], WriteSequence("w", 1)),
            lambda: store.commit_offsets("log", WriteSequence("w", 1), {}),
            lambda: store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON - 1)})], WriteSequence("w", 2)),
            lambda: store.begin("log", "w"),
        ):
            step()
            assert SEQUENCE_TTL_S - 5 <= lives(sequence) <= SEQUENCE_TTL_S
        for _ in range(2):
            store.write_tiles([tile(1)])
            assert SPEED_TTL_S - 5 <= lives("user:7") <= SPEED_TTL_S
            store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON - 1)})])
            assert BATCH_TTL_S - 5 <= lives("user_batch:7") <= BATCH_TTL_S
        assert client.ttl("lamina:offsets:log") == -1  # how far a log is moved is known for good
        client.close()

    def test_a_finished_part_of_a_long_work_lives_on(self, clean_redis: str, store: OnlineStore) -> None:
        client, progress = Redis.from_url(clean_redis), Progress(clean_redis, "work")
        store.begin("log", "w")
        for part in range(2):
            progress.record(part, WriteSequence("w", 0))
            assert PROGRESS_TTL_S - 5 <= int(client.ttl("lamina:progress:work")) <= PROGRESS_TTL_S
            client.expire("lamina:progress:work", 5)
        assert progress.done() == {0, 1}
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
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON - 1)})])
        store.advance_watermark("user", NOON)

        async def read() -> object:
            reader = AsyncRedisReader(clean_redis, timeout_ms=5000)
            try:
                await reader.ping()
                return await reader.read([USER])
            finally:
                await reader.close()

        assert asyncio.run(read()) == store.read([USER])

    def test_readers_at_once_get_their_own_answers_over_few_connections(
        self, clean_redis: str, store: OnlineStore
    ) -> None:
        """Also beside one that gives up: its answer is nobody else's."""
        keys = [ReadKey("user", str(i), (TILE_SPEC,)) for i in range(150)]
        store.publish([BatchWrite(f"user:{i}", {TILE_SPEC: blob(NOON - i)}) for i in range(150)])
        client = Redis.from_url(clean_redis)

        async def read() -> tuple[list[Snapshot], int]:
            reader = AsyncRedisReader(clean_redis, timeout_ms=5000)
            before = client.info("clients")["connected_clients"]
            try:
                tasks = [asyncio.create_task(reader.read([key])) for key in keys]
                gives_up = asyncio.create_task(reader.read(keys[:3]))
                await asyncio.sleep(0)
                gives_up.cancel()
                found = await asyncio.gather(*tasks)
                return found, client.info("clients")["connected_clients"] - before
            finally:
                await reader.close()

        found, connections = asyncio.run(read())
        client.close()
        assert found == [store.read([key]) for key in keys]
        assert found[0] != found[1]
        assert connections <= LANES

    def test_an_asynchronous_reader_survives_an_outage(self, clean_redis: str, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        client = Redis.from_url(clean_redis)

        async def read() -> object:
            reader = AsyncRedisReader(clean_redis, timeout_ms=200)
            try:
                await reader.read([USER])
                client.client_pause(600)
                with pytest.raises(StoreUnavailable):
                    await reader.read([USER])
                await asyncio.sleep(0.7)
                return await reader.read([USER])
            finally:
                await reader.close()

        assert asyncio.run(read()) == store.read([USER])
        client.close()

    def test_an_asynchronous_reader_opens_again_what_the_server_has_closed(
        self, clean_redis: str, store: OnlineStore
    ) -> None:
        store.write_tiles([tile(1)])
        client = Redis.from_url(clean_redis)

        async def read() -> list[Snapshot]:
            reader = AsyncRedisReader(clean_redis, timeout_ms=5000)
            try:
                before = await reader.read([USER])
                assert client.client_kill_filter(_type="normal", skipme=True) >= 1
                await asyncio.sleep(0.05)  # until the event loop has heard of it
                return [before, await reader.read([USER])]
            finally:
                await reader.close()

        assert asyncio.run(read()) == [store.read([USER])] * 2
        client.close()


def test_a_silent_server_is_named() -> None:
    store = RedisStore(NOBODY, timeout_ms=200)
    for call in (
        lambda: store.write_tiles([tile(1)]),
        lambda: store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON)})]),
        lambda: store.advance_watermark("user", NOON),
        lambda: store.take_back("user", [TILE_SPEC], NOON),
        lambda: store.begin("log", "w"),
        lambda: store.identify("log", "t"),
        lambda: store.commit_offsets("log", WriteSequence("w", 0), {0: 1}),
        lambda: store.read([USER]),
    ):
        with pytest.raises(StoreUnavailable, match="LAMINA_REDIS_URL"):
            call()

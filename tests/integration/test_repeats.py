"""Several processes of the API, and one after its restart, and a transaction that comes again: by a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from lamina.contracts.fraud_decisions import Decision, answer_of
from lamina.contracts.served import Served
from lamina.definitions.fraud import FEATURES
from lamina.errors import DecisionPending, RepeatedOtherwise
from lamina.monitoring import metrics
from lamina.semantics.plan import make_plan
from lamina.store.reader import Reader
from lamina.store.redis_reader import AsyncRedisReader
from serving.stages import shared_answers
from serving.stages.features import FeatureStage
from serving.stages.repeats import Repeats
from serving.stages.shared_answers import RedisAnswers, key_of
from serving.systems.fraud.build import KEPT
from serving.systems.fraud.decide import REQUESTS, FraudCase
from tests.unit.serving.recognisable import Bench, add_version

pytestmark = pytest.mark.services

NOBODY = "redis://127.0.0.1:1/0"
LEASE_MS = 300


def count(outcome: str) -> float:
    return float(metrics.REPEATS.labels("fraud", outcome)._value.get())


@pytest.fixture
def redis(clean_redis: str) -> Any:
    client = Redis.from_url(clean_redis)
    yield client
    client.close()


@asynccontextmanager
async def process(
    folder: Path, url: str, *, entries: int = 1000, window_s: int = 600, patience_ms: int = 5_000
) -> AsyncIterator[Bench]:
    """What one process of the API decides with; its events stay in a list."""
    folder.mkdir(exist_ok=True)
    bench = Bench(folder)
    if not bench.registry.names():
        add_version(bench.registry, 0.25, folder, "champion")
    bench.start()
    store = AsyncRedisReader(url, timeout_ms=1_000)
    answers = RedisAnswers(url, timeout_ms=1_000, window_s=window_s, lease_ms=LEASE_MS, entries=entries, system="fraud")
    maker = bench.maker
    bench.repeats = maker._repeats = Repeats(REQUESTS, answers, window_s=window_s, form=KEPT)
    maker._features = FeatureStage(store, Reader(make_plan(FEATURES)), timeout_ms=1_000)
    maker._patience_s = patience_ms / 1000
    await bench.refresh()
    try:
        yield bench
    finally:
        await bench.repeats.close()
        await store.close()


async def claimed(bench: Bench) -> FraudCase:
    """A request of u1 that the process has the claim of, and has done nothing else about."""
    case = bench.case("u1")
    bench.maker._begin(case, 10**12)
    assert [found async for found in bench.maker._read([case])] == [case]
    return case


def alike(decision: Decision) -> dict[str, object]:
    return decision.model_dump(exclude={"features", "seen", "through"})


def test_processes_share_one_decision(clean_redis: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as a, process(tmp_path / "b", clean_redis) as b:
            found = await asyncio.gather(*(each.decide("u1") for each in (a, b, a, b)))
            assert {d.decided_at for d in found} and len({d.request_id + str(d.latency_ms) for d in found}) == 1
            assert len(a.events.decisions) + len(b.events.decisions) == 1
            many = [f"t{i}" for i in range(30)]
            both = await asyncio.gather(*(each.decide("u1", transaction_id=t) for t in many for each in (a, b)))
            assert len({(d.transaction_id, d.latency_ms) for d in both}) == len(many)
            made = [d.transaction_id for each in (a, b) for d in each.events.decisions]
            assert sorted(made) == sorted([*many, "txn-0001"])

    asyncio.run(run())


def test_a_restart_knows_what_was_answered(clean_redis: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as before:
            first = await before.decide("u1")
            batch = await before.decided_all([before.case("u2", transaction_id="t2")], explain=True)
        async with process(tmp_path / "b", clean_redis) as after:
            assert alike(await after.decide("u1")) == alike(first)
            asked = [after.case("u2", transaction_id="t2"), after.case("u3", transaction_id="t3")]
            again = await after.decided_all(asked, explain=True)
            assert again[0] == batch[0] and again[1].transaction_id == "t3"
            with pytest.raises(RepeatedOtherwise):
                await after.decide("u1", amount=3.0)
            with pytest.raises(RepeatedOtherwise):
                await after.decided_all(
                    [after.case("u4", transaction_id="t4"), after.case("u2", transaction_id="t2", amount=1.0)],
                    explain=False,
                )
            assert [d.transaction_id for d in after.events.decisions] == ["t3"]
            assert (await after.decide("u4", transaction_id="t4")).user_id == "u4", "the refused call let it go"

    asyncio.run(run())


def test_a_process_that_died_on_it_holds_nobody_up(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    """What a killed process leaves is a claim: after its time another decides, with a model's time of its own."""

    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as dead, process(tmp_path / "b", clean_redis) as bench:
            await claimed(dead)
            bench.maker._deadline_ns = LEASE_MS * 10**6 // 2
            found = await bench.decide("u1")
            assert (found.fallback, found.score) == ("none", 0.25)
            assert len(bench.events.decisions) == 1 and not dead.events.kept

    asyncio.run(run())


def test_what_was_recalled_stands_under_the_dead_processs_claim(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as dead:
            case = await claimed(dead)
            dead.repeats._shared = None  # dies before Redis has the answer
            (made,) = [found async for found in dead.maker._make([case])]
        redis.persist(key_of("txn-0001"))
        async with process(tmp_path / "b", clean_redis) as after, process(tmp_path / "c", clean_redis) as other:
            for topic, value in dead.events.kept:
                after.repeats.recall(topic, value)
            assert isinstance(made, Served)
            first = answer_of(made)
            assert alike(await after.decide("u1")) == alike(first)
            assert alike(await other.decide("u1")) == alike(first)
            assert not after.events.kept and not other.events.kept

    asyncio.run(run())


def test_a_slow_process_is_waited_for_only_so_long(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        async with (
            process(tmp_path / "a", clean_redis) as slow,
            process(tmp_path / "b", clean_redis, patience_ms=100) as bench,
        ):
            asked = await claimed(slow)
            redis.persist(key_of("txn-0001"))
            before = count("pending")
            with pytest.raises(DecisionPending):
                await bench.decide("u1")
            with pytest.raises(RepeatedOtherwise):
                await bench.decide("u1", amount=7.0)
            assert count("pending") == before + 1 and not bench.events.kept
            slow.repeats.failed(asked.turn, ValueError())
            await slow.repeats.close()
            assert (await bench.decide("u1")).score == 0.25

    asyncio.run(run())


def test_every_key_has_a_time_and_there_are_so_many(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        before = count("forgotten")
        async with process(tmp_path / "a", clean_redis, entries=20, window_s=60) as bench:
            for i in range(50):
                await bench.decide("u1", transaction_id=f"t{i}")
        keys = list(redis.scan_iter("decided:*"))
        assert len(keys) == 20 and count("forgotten") == before + 30
        assert all(0 < redis.ttl(key) <= 60 for key in keys)
        assert redis.exists(key_of("t49")) and not redis.exists(key_of("t0"))

    asyncio.run(run())


def test_the_number_is_exact(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis, entries=1) as bench:
            for i in range(3):
                await bench.decide("u1", transaction_id=f"t{i}")
                while bench.repeats._shared._writing is not None:  # type: ignore[union-attr]
                    await asyncio.sleep(0.01)
                assert [key.decode() for key in redis.scan_iter("decided:*")] == [key_of(f"t{i}")]

    asyncio.run(run())


def test_a_claim_ends_by_itself(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as bench:
            await claimed(bench)
            assert 0 < redis.pttl(key_of("txn-0001")) <= LEASE_MS

    asyncio.run(run())


def test_without_redis_the_process_knows_its_own(tmp_path: Path) -> None:
    """A named fallback: decided by the rules, counted as unchecked, and still not twice in one process."""

    async def run() -> None:
        before = count("unchecked")
        async with process(tmp_path / "a", NOBODY) as bench:
            found = await asyncio.gather(bench.decide("u1"), bench.decide("u1"))
            assert found[0].fallback == "rules_only_no_features" and found[0] == found[1]
            assert alike(await bench.decide("u1")) == alike(found[0])
            assert len(bench.events.decisions) == 1 and count("unchecked") == before + 1
            with pytest.raises(RepeatedOtherwise):
                await bench.decide("u1", amount=2.0)

    asyncio.run(run())


def test_a_full_redis_keeps_no_claims_and_still_answers(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as bench:
            redis.config_set("maxmemory", 1)
            before = count("unchecked")
            try:
                found = await bench.decide("u1")
                assert (found.fallback, found.score) == ("none", 0.25), "features are read all the same"
                assert count("unchecked") == before + 1
            finally:
                redis.config_set("maxmemory", 0)
            assert alike(await bench.decide("u1")) == alike(found)

    asyncio.run(run())


def test_answers_that_redis_does_not_take_are_counted_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_answers, "MOST_UNWRITTEN", 3)
    monkeypatch.setattr(shared_answers, "FLUSH_S", 1.0)

    async def run() -> None:
        before = count("unwritten")
        async with process(tmp_path / "a", NOBODY) as bench:
            for i in range(5):
                await bench.decide("u1", transaction_id=f"t{i}")
            assert count("unwritten") == before + 2
        assert count("unwritten") == before + 5

    asyncio.run(run())


def test_a_claim_that_ended_while_it_was_looked_at_is_asked_for_again(clean_redis: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as bench:
            answers = bench.repeats._shared
            assert answers is not None
            turn, _, _ = bench.repeats.turn("t1", b"content", explain=False)
            found = answers.found(turn, [None, None])
            assert found is not None and (found.digest, found.answer) == (turn.digest, None)
            assert answers.found(turn, [b"OK", answers.claim(turn)[0][2]]) is None

    asyncio.run(run())


def test_what_cannot_be_written_holds_nothing_else_up(clean_redis: str, tmp_path: Path, redis: Any) -> None:
    """In one call with an answer for a key of another type, a claim is released and an answer kept."""

    async def run() -> None:
        async with process(tmp_path / "a", clean_redis) as bench:
            answers = bench.repeats._shared
            assert answers is not None
            turns = [bench.repeats.turn(f"t{i}", b"content", explain=False)[0] for i in range(3)]
            redis.lpush(key_of("t0"), "x")
            for turn in turns[1:]:
                redis.set(key_of(turn.event_id), answers.claim(turn)[0][2])
            before = count("unwritten")
            answers.keep(turns[0], b"{}")
            answers.release(turns[1])
            answers.keep(turns[2], b"{}")
            await answers.close()
            assert count("unwritten") == before + 3
            assert not redis.exists(key_of("t1")) and bytes(redis.get(key_of("t2"))).endswith(b"{}")

    asyncio.run(run())

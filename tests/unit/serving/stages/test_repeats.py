"""A transaction that comes again: in this process, at once, in a batch, and when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.served import Served
from lamina.contracts.topics import DEAD_LETTERS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.contracts.user_events import USER_EVENTS
from lamina.errors import DecisionPending, RepeatedOtherwise
from lamina.monitoring import metrics
from lamina.store.memory import MemoryStore
from lamina.store.protocol import Command, ReadKey, Snapshot
from serving.stages import repeats
from serving.stages.journal import Journal
from serving.stages.log import EventLog
from serving.stages.repeats import Repeats, Turn
from serving.stages.segments import JournaledEvent
from serving.stages.shared_answers import Recorded
from serving.systems.fraud.build import KEPT
from serving.systems.fraud.decide import REQUESTS
from serving.systems.fraud.routes import TRANSACTION
from tests.unit.serving.recognisable import Bench, add_version

JSON = {"Content-Type": "application/json"}


def count(outcome: str) -> float:
    return float(metrics.REPEATS.labels("fraud", outcome)._value.get())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    add_version(made.registry, 0.25, tmp_path, "champion")
    made.start()
    made.repeats = made.maker._repeats = Repeats(
        REQUESTS, None, window_s=600, form=KEPT, monotonic=lambda: made.clock_s
    )
    return made


def test_the_first_is_to_decide() -> None:
    for window_s, again in ((600, False), (0, True)):
        known = Repeats(REQUESTS, None, window_s=window_s)
        turn, answer, first = known.turn("t1", b"content", explain=False)
        assert (answer, first) == (None, True)
        second, answer, first = known.turn("t1", b"content", explain=False)
        assert (second is not turn, answer, first) == (again, None, again)


def test_one_decision_is_made_of_what_comes_again(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        first = await bench.decide("u1")
        before = count("known")
        again = await bench.decide("u1")
        assert again.to_json() == first.model_copy(update={"features": {}, "seen": {}, "through": {}}).to_json()
        assert count("known") == before + 1

    asyncio.run(run())
    assert len(bench.events.decisions) == 1 and len(bench.events.kept) == 2


def test_those_that_come_at_once_share_one_decision(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        before = count("waited")
        found = await asyncio.gather(*(bench.decide("u1") for _ in range(5)))
        assert all(each == found[0] for each in found)
        assert count("waited") == before + 4

    asyncio.run(run())
    assert len(bench.events.decisions) == 1


@pytest.mark.parametrize("together", [True, False])
def test_another_content_under_the_id_is_refused(bench: Bench, together: bool) -> None:
    async def run() -> None:
        await bench.refresh()
        ways = [bench.decide("u1"), bench.decide("u1", amount=29.0)]
        if together:
            first, second = await asyncio.gather(*ways, return_exceptions=True)
        else:
            first, second = [(await asyncio.gather(way, return_exceptions=True))[0] for way in ways]
        assert not isinstance(first, BaseException)
        assert isinstance(second, RepeatedOtherwise) and "txn-0001 was sent with another content" in str(second)
        assert (await bench.decide("u1")).request_id == first.request_id

    asyncio.run(run())
    assert [d.amount for d in bench.events.decisions] == [28.76]


def test_the_window_ends(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        await bench.decide("u1")
        bench.clock_s += 599.0
        await bench.decide("u1")
        assert len(bench.events.decisions) == 1
        bench.clock_s += 1.0
        await bench.decide("u1", amount=3.0)

    asyncio.run(run())
    assert [d.amount for d in bench.events.decisions] == [28.76, 3.0]


def test_what_is_kept_in_the_process_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "LOCAL_ANSWERS", 10)

    async def run() -> None:
        await bench.refresh()
        for i in range(30):
            await bench.decide("u1", transaction_id=f"t{i}")

    asyncio.run(run())
    assert len(bench.repeats._known) == 10 and not bench.repeats._turns


def test_an_attempt_that_fails_leaves_the_way_to_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.rules.book import RuleBook

    judge = RuleBook.judge

    async def run() -> None:
        await bench.refresh()

        def fails(self: RuleBook, transaction: Any, features: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(RuleBook, "judge", fails)
        found = await asyncio.gather(*(bench.decide("u1") for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in found] == [ZeroDivisionError] * 3
        monkeypatch.setattr(RuleBook, "judge", judge)
        assert (await bench.decide("u1")).score == 0.25

    asyncio.run(run())
    assert len(bench.events.decisions) == 1


def test_who_gives_up_leaves_nobody_waiting(bench: Bench) -> None:
    """The first is cancelled as by a deadline: who waited is told to ask again, and the next has an answer."""

    async def run() -> None:
        await bench.refresh()
        first = asyncio.create_task(bench.decide("u1"))
        second = asyncio.create_task(bench.decide("u1"))
        await asyncio.sleep(0)
        first.cancel()
        async with asyncio.timeout(10):
            found = await asyncio.gather(first, second, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError) and type(found[1]).__name__ == "DecisionPending"
        async with asyncio.timeout(10):
            assert (await bench.decide("u1")).score == 0.25

    asyncio.run(run())
    assert len(bench.events.decisions) <= 2 and not bench.repeats._turns


def test_within_a_batch(bench: Bench) -> None:
    """The same twice in one call is decided once and answered twice; what was decided before is not decided again."""

    async def run() -> None:
        await bench.refresh()
        await bench.decide("u0", transaction_id="t0")
        ids = ["t1", "t0", "t2", "t1"]
        users = {"t0": "u0", "t1": "u1", "t2": "u2"}
        asked = [bench.case(users[i], transaction_id=i) for i in ids]
        found = await bench.decided_all(asked, explain=False)
        assert [d.transaction_id for d in found] == ids and found[0] == found[3]
        other = [bench.case("u3", transaction_id="t3"), bench.case("u9", transaction_id="t1")]
        with pytest.raises(RepeatedOtherwise, match="transaction t1 "):
            await bench.decided_all(other, explain=False)
        assert len(bench.events.decisions) == 3, "nothing of a refused call is decided"
        await bench.decided_all(other[:1], explain=False)

    asyncio.run(run())
    assert [d.transaction_id for d in bench.events.decisions] == ["t0", "t1", "t2", "t3"]


def test_a_waiter_that_gives_up_costs_nobody_an_answer(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        first, second, third = (asyncio.create_task(bench.decide("u1")) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        async with asyncio.timeout(10):
            found = await asyncio.gather(first, second, third, return_exceptions=True)
        assert isinstance(found[1], asyncio.CancelledError)
        assert not isinstance(found[0], BaseException) and found[0] == found[2]

    asyncio.run(run())
    assert len(bench.events.decisions) == 1


class OtherwiseElsewhere:
    """Processes share what they know; t2 was decided on elsewhere, with another content."""

    def __init__(self) -> None:
        self.kept, self.released = list[str](), list[str]()

    def claim(self, turn: Turn) -> list[Command]:
        return [(turn.event_id,)]

    def found(self, turn: Turn, replies: Sequence[object]) -> Recorded | None:
        return Recorded(b"another", b"") if turn.event_id == "t2" else None

    def keep(self, turn: Turn, answer: bytes) -> None:
        self.kept.append(turn.event_id)

    def release(self, turn: Turn) -> None:
        self.released.append(turn.event_id)

    async def close(self) -> None:
        pass


def test_a_batch_that_fails_tells_nobody_else_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for one of its transactions is not at fault, and not told of another."""

    async def read(keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        await asyncio.sleep(0.01)
        found = MemoryStore().read(keys)
        return Snapshot(found.replies, found.batch_end_ms, [None] * len(also))

    monkeypatch.setattr(bench.maker._features._store, "read", read)
    shared = OtherwiseElsewhere()
    bench.maker._repeats = Repeats(REQUESTS, shared, window_s=600, form=KEPT)

    async def run() -> list[Any]:
        await bench.refresh()
        both = [bench.case("u1", transaction_id="t1"), bench.case("u2", transaction_id="t2")]
        batch = asyncio.create_task(bench.decided_all(both, explain=False))
        await asyncio.sleep(0)
        found = await asyncio.gather(batch, bench.decide("u1", transaction_id="t1"), return_exceptions=True)
        return [*found, await bench.decide("u1", transaction_id="t1")]

    refused, waited, again = asyncio.run(run())
    assert isinstance(refused, RepeatedOtherwise) and "transaction t2 " in str(refused)
    assert isinstance(waited, DecisionPending)
    assert again.transaction_id == "t1"
    assert shared.released == ["t1", "t2"] and shared.kept == ["t1"], "another process may begin at once"


@pytest.mark.parametrize("batch", [False, True])
def test_what_another_process_decides_on_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    """Of a batch, too: the rest is decided here, and that one is answered by whoever came first."""
    looks: list[str] = []

    async def read(keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        found = MemoryStore().read(keys)
        return Snapshot(found.replies, found.batch_end_ms, [None] * len(also))

    async def run() -> list[Any]:
        await bench.refresh()
        elsewhere = (await bench.decide("u2", transaction_id="t2")).to_json()
        bench.events.kept.clear()
        monkeypatch.setattr(bench.maker._features._store, "read", read)

        class DecidedElsewhere(OtherwiseElsewhere):
            def found(self, turn: Turn, replies: Sequence[object]) -> Recorded | None:
                if turn.event_id != "t2":
                    return None
                looks.append(turn.event_id)
                return Recorded(turn.digest, elsewhere if len(looks) > 2 else None)

        bench.maker._repeats = Repeats(REQUESTS, DecidedElsewhere(), window_s=600, form=KEPT)
        asked = [bench.case("u2", transaction_id="t2"), bench.case("u1", transaction_id="t1")]
        async with asyncio.timeout(20):
            if batch:
                made = await bench.decided_all(asked, explain=False)
            else:
                made = [await bench.decided(each, explain=False) for each in asked]
        return [elsewhere, *made]

    elsewhere, second, first = asyncio.run(run())
    assert second.to_json() == elsewhere and first.transaction_id == "t1"
    assert len(looks) == 3 and [d.transaction_id for d in bench.events.decisions] == ["t1"]


def test_explained_answers_are_kept_as_they_were(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        first = await bench.decided(bench.case("u1"), explain=True)
        assert await bench.decided(bench.case("u1"), explain=True) == first and first.features

    asyncio.run(run())


def test_without_a_window_each_is_decided(bench: Bench) -> None:
    bench.maker._repeats = Repeats(REQUESTS, None, window_s=0)

    async def run() -> None:
        await bench.refresh()
        await asyncio.gather(*(bench.decide("u1") for _ in range(3)))

    asyncio.run(run())
    assert len(bench.events.decisions) == 3


def test_what_a_killed_process_wrote_down_is_known_after_its_restart(bench: Bench, tmp_path: Path) -> None:
    """Between the journal and Redis: the journal has the answer, and nothing of it is decided or sent again."""

    async def run() -> None:
        await bench.refresh()
        first = [await bench.decide("u1"), await bench.decide("u2", transaction_id="t2")]
        journal = Journal(tmp_path / "killed")
        journal.open()
        journal.append([JournaledEvent(f"p-{topic}", b"u", value) for topic, value in bench.events.kept])
        journal.close()
        bench.repeats = bench.maker._repeats = Repeats(REQUESTS, None, window_s=600, form=KEPT)
        log = EventLog("127.0.0.1:1", "p-", Journal(tmp_path / "killed"))
        log.start(bench.repeats.recall)
        log.stop(0)
        made = len(bench.events.kept)
        again = [await bench.decide("u1"), await bench.decide("u2", transaction_id="t2")]
        assert [d.decided_at for d in again] == [d.decided_at for d in first]
        assert [d.latency_ms for d in again] == [d.latency_ms for d in first]
        assert len(bench.events.kept) == made
        with pytest.raises(RepeatedOtherwise):
            await bench.decide("u1", amount=3.0)

    asyncio.run(run())


def test_what_another_version_wrote_down(bench: Bench) -> None:
    """What it can read it knows, however it was written; what it cannot keeps nobody from starting."""
    before = count("unreadable")
    clear = orjson.dumps(TRANSACTION | {"card_token": "4111111111111111"})

    async def run() -> None:
        await bench.refresh()
        first = await bench.decide("u1")
        (_, sent), (_, made) = bench.events.kept
        bench.repeats = bench.maker._repeats = Repeats(REQUESTS, None, window_s=600, form=KEPT)
        bench.repeats.recall(TRANSACTIONS, clear)
        bench.repeats.recall(PREDICTIONS, made)
        assert count("unreadable") == before + 1 and not bench.repeats._known, "whose decision it was is not known"
        bench.repeats.recall(TRANSACTIONS, sent)
        bench.repeats.recall(PREDICTIONS, b'{"action":"call the police"}')
        assert count("unreadable") == before + 2 and not bench.repeats._known
        bench.repeats.recall(TRANSACTIONS, orjson.dumps(orjson.loads(sent), option=orjson.OPT_SORT_KEYS))
        for other in (USER_EVENTS, DEAD_LETTERS):
            bench.repeats.recall(other, b"of no transaction")
        # As it was called before there was a topic of predictions a system, and written before there was an envelope.
        bench.repeats.recall("model-predictions", first.to_json())
        assert (await bench.decide("u1")).decided_at == first.decided_at
        bench.repeats = bench.maker._repeats = Repeats(REQUESTS, None, window_s=600, form=KEPT)
        bench.repeats.recall(TRANSACTIONS, sent)
        shadow = Served.from_json(made).model_copy(update={"shadow": True, "outputs": {}, "payload": {}})
        bench.repeats.recall(PREDICTIONS, shadow.to_json())
        assert not bench.repeats._known, "a shadow is no answer"

    asyncio.run(run())
    assert len(bench.events.decisions) == 1

"""The load under which features go live: payments that are sent and features that are read all the time, and what each
read would have had to say.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lamina.clock import system_clock
from lamina.contracts.features import FeatureSet
from lamina.contracts.transactions import Transaction
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import equal_numbers, evaluate
from lamina.settings import Settings
from lamina.store.reader import FeatureVector
from lamina.store.redis_reader import AsyncRedisReader
from lamina.streams.produce import EventProducer
from serving.stages.changeover import Changeover
from serving.stages.features import Found

USERS = tuple(f"u{i}" for i in range(8))
LOOK_S, READ_S = 0.25, 0.02
DEVICES, KINDS = ("mobile", "desktop", "pos"), ("in_store", "online")


@dataclass(frozen=True)
class Answer:
    """What a process read of a user at a time, by which features, and how many payments it had to see."""

    user: str
    at_ms: int
    features: FeatureSet
    vector: FeatureVector
    sent: int


def payment(rng: random.Random, user: str, number: int, at_ms: int) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        user_id=user,
        card_token="tok_1",
        amount=float(rng.randrange(1, 400)),
        currency="EUR",
        merchant_id=f"m{rng.randrange(9)}",
        merchant_category="food",
        country="FR",
        user_country="FR",
        transaction_type=rng.choice(KINDS),
        device_type=rng.choice(DEVICES),
        timestamp=at_ms,
    )


@dataclass
class Load:
    """Sends payments of now, and reads as several processes do, from `running` until its end.

    past: payments of each user from before the batch end. late_s: a payment sent longer ago than this has to be read.
    """

    settings: Settings
    past: Mapping[str, Sequence[EventRow]]
    late_s: float
    processes: dict[str, Changeover] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[str, list[tuple[float, EventRow]]] = field(default_factory=lambda: defaultdict(list))
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Load until the block ends.

        Raises: what ended a part of it.
        """
        threads = [threading.Thread(target=self._guarded, args=(part,)) for part in (self._send, self._read_all)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)
        if self.failures:
            raise self.failures[0]

    def add(self, name: str, own: FeatureSet) -> Changeover:
        """A process whose code defines `own`, from now on."""
        made = Changeover(own, self.settings.lake_url)
        made.look()
        self.processes[name] = made
        return made

    def _guarded(self, part: object) -> None:
        try:
            part()  # type: ignore[operator]
        except BaseException as error:
            self.failures.append(error)

    def _send(self) -> None:
        rng, number = random.Random(1), 0
        with EventProducer(self.settings.kafka_bootstrap, self.settings.topic_prefix) as producer:
            while not self._stop.wait(0.02):
                number += 1
                user = USERS[number % len(USERS)]
                made = payment(rng, user, number, system_clock())
                producer.send("transactions", made)
                producer.flush()
                self.sent[user].append((time.monotonic(), made.model_dump()))

    def _read_all(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        rng = random.Random(2)
        stages = {}
        looked = 0.0
        while not self._stop.is_set():
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                for process in list(self.processes.values()):
                    await asyncio.to_thread(process.look)
            for name, process in list(self.processes.items()):
                if name not in stages:
                    url = self.settings.redis_url.get_secret_value()
                    stages[name] = process.stage(AsyncRedisReader(url, timeout_ms=5000), timeout_ms=5000)
                user, before = rng.choice(USERS), time.monotonic() - self.late_s
                sent = sum(at <= before for at, _ in list(self.sent[user]))
                at_ms = system_clock()
                request = {"user_id": user, "timestamp": at_ms}
                (found,) = await stages[name].read_each([request], [at_ms])
                vector = stages[name].vector(found, request, at_ms)
                assert vector is not None
                assert isinstance(found, Found)
                assert found.reader is not None
                self.answers[name].append(Answer(user, at_ms, found.reader.plan.features, vector, sent))
            await asyncio.sleep(READ_S)
        for stage in stages.values():
            await stage.close()

    def wrong(self, name: str) -> list[str]:
        """What a process answered that is not what the payments say that it had seen, or that it had seen too late."""
        found = []
        for answer in self.answers[name]:
            live = [event for _, event in self.sent[answer.user]]
            for tile_spec in make_plan(answer.features).tile_specs:
                seen = answer.vector.seen[tile_spec.key]
                if seen < answer.sent:
                    found.append(f"{answer.at_ms}: {tile_spec.key} has {seen} of {answer.sent} payments")
                events = [*self.past[answer.user], *live[:seen]]
                for feature in answer.features.window_features:
                    if make_plan(answer.features).tile_spec_of(feature) == tile_spec:
                        wanted = evaluate(feature, events, answer.user, answer.at_ms)
                        if not _same(answer.vector.values[feature.name], wanted):
                            found.append(
                                f"{answer.at_ms}: {feature.name} is {answer.vector.values[feature.name]}, not {wanted}"
                            )
        return found

    def read_by(self, name: str) -> list[FeatureSet]:
        """By which features a process read, in order, each once in a row."""
        found: list[FeatureSet] = []
        for answer in self.answers[name]:
            if not found or found[-1] != answer.features:
                found.append(answer.features)
        return found


def _same(value: object, wanted: object) -> bool:
    if isinstance(value, float) and isinstance(wanted, (int, float)):
        return equal_numbers(value, float(wanted))
    return value == wanted

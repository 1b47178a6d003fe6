"""A steady load on topic `transactions` with everything that goes wrong in practice, the same again from a seed.

Duplicates, late ones, ones out of order, clocks that are hours off, and messages that are no events. What the broker
acknowledged is remembered: it must be on the topic afterwards, whatever was killed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque

import orjson
from confluent_kafka import KafkaError, Message, Producer

from lamina.clock import DAY_MS, system_clock
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.settings import Settings

HOUR_MS = 3_600_000
RECENT = 2000
MERCHANTS = 40
# Shares of the messages; the rest is as it should be.
DUPLICATES, LATE, SKEWED, POISON, LABELS = 0.03, 0.05, 0.03, 0.005, 0.05
JITTER_MS = 3000
"""Events arrive out of order by up to so much."""


class Load(threading.Thread):
    """Sends `rate` messages a second for `users` users until `stop`, each due at its time whatever happened before."""

    def __init__(self, settings: Settings, *, seed: int, rate: int, users: int) -> None:
        super().__init__(name="load")
        self._settings, self._rate, self._users = settings, rate, users
        self._rng = random.Random(seed)
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=RECENT)
        self._ended = threading.Event()
        self._error: Exception | None = None
        self.acknowledged: set[str] = set()
        """Ids of events that the broker has acknowledged at least once."""
        self.kinds: Counter[str] = Counter()
        """Messages by kind."""

    def stop(self) -> None:
        """End the load and wait until every message is acknowledged.

        Raises: RuntimeError: when the load failed, or a message was not acknowledged.
        """
        self._ended.set()
        self.join()
        if self._error is not None:
            raise RuntimeError(f"the load failed: {self._error}") from self._error

    def run(self) -> None:
        """The load."""
        try:
            self._run()
        except Exception as error:
            self._error = error

    def _run(self) -> None:
        client = Producer(
            {
                "bootstrap.servers": self._settings.kafka_bootstrap,
                "linger.ms": 5,
                # A repetition after a lost answer neither doubles nor reorders.
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        begin = time.monotonic()
        i = 0
        while not self._ended.is_set():
            if (wait := begin + i / self._rate - time.monotonic()) > 0:
                time.sleep(wait)
            self._send(client, i)
            client.poll(0)
            i += 1
        if left := client.flush(120):
            raise RuntimeError(f"{left} messages were not acknowledged after two minutes")

    def _send(self, client: Producer, i: int) -> None:
        rng, topic = self._rng, self._settings.topic_prefix + TRANSACTIONS
        chance = rng.random()
        if chance < POISON:
            self.kinds["poison"] += 1
            client.produce(topic, self._poison(i), f"u{i % self._users}".encode())
        elif chance < POISON + DUPLICATES and self._recent:
            self.kinds["duplicate"] += 1
            user, raw = rng.choice(self._recent)
            client.produce(topic, raw, user.encode())
        else:
            event = self._event(i)
            event_id, user, raw = str(event["transaction_id"]), str(event["user_id"]), orjson.dumps(event)

            def arrived(error: KafkaError | None, _: Message) -> None:
                if error is None:
                    self.acknowledged.add(event_id)
                else:
                    self._error = RuntimeError(f"the broker refused {event_id}: {error}")

            client.produce(topic, raw, user.encode(), on_delivery=arrived)
            self._recent.append((user, raw))
            if rng.random() < LABELS:
                self.kinds["label"] += 1
                client.produce(self._settings.topic_prefix + FRAUD_LABELS, self._label(event), user.encode())

    def _timestamp(self) -> int:
        rng, now = self._rng, system_clock()
        chance = rng.random()
        if chance < LATE:
            self.kinds["late"] += 1
            return now - rng.randrange(10_000, 900_000)
        if chance < LATE + SKEWED:
            self.kinds["skewed"] += 1
            return now + rng.choice((-1, 1)) * rng.randrange(HOUR_MS, DAY_MS)
        self.kinds["ordinary"] += 1
        return now - rng.randrange(JITTER_MS)

    def _event(self, i: int) -> dict[str, object]:
        rng = self._rng
        user = rng.randrange(self._users)
        point = {"lat": round(rng.uniform(-90, 90), 4), "lon": round(rng.uniform(-180, 180), 4)}
        return {
            "transaction_id": f"t{i}",
            "user_id": f"u{user}",
            "card_token": f"tok_{user}",
            "amount": round(rng.lognormvariate(3, 1), 2),
            "currency": "EUR",
            "merchant_id": f"m{rng.randrange(MERCHANTS)}",
            "merchant_category": rng.choice(["grocery", "travel"]),
            "country": rng.choice(["FR", "BE", "DE"]),
            "user_country": "FR",
            "transaction_type": rng.choice(["online", "in_store"]),
            "device_type": rng.choice(["web", "terminal"]),
            "location": point if rng.random() < 0.7 else None,
            "timestamp": self._timestamp(),
        }

    def _label(self, event: dict[str, object]) -> bytes:
        at = int(str(event["timestamp"]))
        return orjson.dumps(
            {
                **{name: event[name] for name in ("transaction_id", "user_id", "merchant_id")},
                "is_fraud": self._rng.random() < 0.5,
                "scenario": None,
                "source": "simulator",
                "transaction_timestamp": at,
                "timestamp": at + 1000,
            }
        )

    def _poison(self, i: int) -> bytes:
        event = {**self._event(i), "transaction_id": f"poison{i}"}
        return self._rng.choice(
            (
                b"",
                b"not json",
                b'{"transaction_id": "cut off',
                b"\xff\xfe\x00",
                orjson.dumps({**event, "amount": "NaN"}),
                orjson.dumps({**event, "user_id": "u\t1"}),
                orjson.dumps({**event, "timestamp": 1_533_686_400}),
                orjson.dumps({name: value for name, value in event.items() if name != "merchant_id"}),
            )
        )

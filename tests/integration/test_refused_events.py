"""A real broker that will never take a message: what stood behind it arrives, and the message is not lost."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from random import Random

import orjson

from benchmarks.messages import consume
from lamina.catalog import TOPICS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.settings import Settings
from lamina.streams import dead_letters
from lamina.streams.topics import create_topics
from serving.stages.journal import Journal
from serving.stages.log import EventLog, Outgoing
from serving.systems.fraud.routes import TRANSACTION
from tests.integration.serving import until


def small_topics(kafka: str, prefix: str, **largest: int) -> None:
    """All topics; those named take messages of so many bytes only."""
    names = {name.replace("_", "-"): size for name, size in largest.items()}
    create_topics(kafka, prefix, [dataclasses.replace(t, max_bytes=names.get(t.name, t.max_bytes)) for t in TOPICS])


def noise(n: int) -> bytes:
    """Bytes that do not compress: the broker looks at what it stores."""
    return base64.b64encode(Random(n).randbytes(n))


def test_a_message_that_is_too_large_becomes_a_letter(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    small_topics(kafka, topic_prefix, transactions=2000)
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)
    values = [b"%d:" % n + noise(20_000 if n % 7 == 3 else 50) for n in range(30)]
    log = EventLog(kafka, topic_prefix, Journal(tmp_path / "journal"))
    log.start()
    try:
        for each in values:
            log.publish_all([Outgoing(TRANSACTIONS, "user-1", each)])
        until(lambda: log.waiting_bytes == 0)
        assert log.problem is None
    finally:
        log.stop()
    arrived = [value for _, value in consume(settings, TRANSACTIONS)]
    assert list(dict.fromkeys(arrived)) == [value for value in values if len(value) < 2000]
    letters = list(dead_letters.read(kafka, topic_prefix, TRANSACTIONS))
    assert sorted(base64.b64decode(letter.raw) for letter in letters) == sorted(v for v in values if len(v) > 2000)
    assert all("Kafka refuses it" in letter.reason for letter in letters)


def test_a_letter_of_the_sink_that_is_too_large_holds_up_no_other(kafka: str, topic_prefix: str) -> None:
    small_topics(kafka, topic_prefix, dead_letters=2000)
    letters = [
        dead_letters.make_letter(TRANSACTIONS, 0, n, "is broken", noise(5000 if n == 1 else 50), 1_700_000_000_000)
        for n in range(3)
    ]
    assert dead_letters.write(kafka, topic_prefix, letters) == 3
    found = {letter.offset: letter for letter in dead_letters.read(kafka, topic_prefix)}
    assert sorted(found) == [0, 1, 2]
    assert found[1].raw == "" and "do not fit" in found[1].reason
    assert found[2].raw == letters[2].raw


def test_a_replay_goes_on_behind_a_message_that_is_refused(kafka: str, topic_prefix: str) -> None:
    small = [TRANSACTION | {"transaction_id": f"t-{n}"} for n in range(3)]
    long_ids = {name: Random(len(name)).randbytes(64).hex() for name in ("transaction_id", "user_id", "merchant_id")}
    small_topics(kafka, topic_prefix, transactions=len(orjson.dumps(small[0])) + 150)
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)
    events = [small[0], TRANSACTION | long_ids, small[1], small[2]]
    letters = [
        dead_letters.make_letter(TRANSACTIONS, 0, n, "was broken", orjson.dumps(event), 1_700_000_000_000)
        for n, event in enumerate(events)
    ]
    dead_letters.write(kafka, topic_prefix, letters)
    report = dead_letters.replay(kafka, topic_prefix)
    assert (report.read, report.sent, report.still_dead) == (4, 3, 1), report.reasons
    arrived = {orjson.loads(value)["transaction_id"] for _, value in consume(settings, TRANSACTIONS)}
    assert arrived == {"t-0", "t-1", "t-2"}

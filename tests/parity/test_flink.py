"""Kafka, Flink, the sink and Redis together give what the slow reference gives; nothing that broke its contract is
lost."""

from __future__ import annotations

import base64
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence

import orjson
import pytest
from confluent_kafka import Producer

from benchmarks.tiles import as_layered
from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet, Layers
from lamina.definitions import load
from lamina.definitions.fraud import USER
from lamina.local import jars
from lamina.local.layout import flink_env
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import evaluate_all, without_duplicates
from lamina.semantics.sketch import kept
from lamina.settings import ROOT
from lamina.store.protocol import ReadKey
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore
from lamina.streams import dead_letters
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.topics import create_topics
from tests.parity import activity
from tests.parity.differences import same
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate
from tests.parity.malformed import broken
from tests.values import CASES

pytestmark = pytest.mark.services
USERS = 5


def _produce(bootstrap: str, topic: str, events: Sequence[EventRow], between: Sequence[bytes | None] = ()) -> None:
    """Events in order, and `between` them the broken ones. All on one partition: order of arrival is then what the test
    says."""
    producer = Producer({"bootstrap.servers": bootstrap})
    every = max(len(events) // (len(between) + 1), 1)
    waiting = list(between)
    for i, event in enumerate(events):
        producer.produce(topic, orjson.dumps(event), str(event["user_id"]).encode(), partition=0)
        if i % every == 0 and waiting:
            producer.produce(topic, waiting.pop(), b"?", partition=1)
    assert producer.flush(30) == 0
    assert not waiting


def _run_flink(systems: str, bootstrap: str, prefix: str) -> None:
    (connector,) = jars.flink_connector()
    command = [str(flink_env() / "bin" / "python"), "-m", "tests.parity.run_flink", systems, bootstrap, prefix]
    done = subprocess.run([*command, str(connector)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def _differences(features: FeatureSet, store: RedisStore, arrived: Mapping[str, list[EventRow]]) -> list[object]:
    """Speed features that differ. Asked for at the ends of days, where every tile is complete."""
    reader = Reader(make_plan(features))
    arrived = {**arrived, **as_layered(features, arrived, 0)}
    speed = [f.name for f in features.window_features if f.view.layers == Layers.BOTH]
    found: list[object] = []
    for i in range(2 * USERS):
        # After the last tie across midnight: a tile holds its event at the moment asked for, too.
        at_ms = START_MS + (11 + 2 * (i % 2)) * DAY_MS + (DAY_MS - 1)
        own, id_column = features.request.name, features.request.id
        request = {**arrived[own][i], id_column: f"r{i}", "user_id": f"u{i // 2}", "timestamp": at_ms}
        expected = evaluate_all(features, {**arrived, own: [*arrived[own], request]}, request, at_ms)
        values = reader.read(store, request, at_ms).values
        found += [
            (name, at_ms, values[name], expected[name]) for name in speed if not same(expected[name], values[name])
        ]
    return found


@pytest.mark.parametrize("features", [load("fraud"), EVERYTHING], ids=lambda f: f.system)
def test_stream_equals_reference(features: FeatureSet, kafka: str, clean_redis: str, topic_prefix: str) -> None:
    generated = generate(7, users=USERS)
    bad = broken(generated.transactions[3])
    create_topics(kafka, topic_prefix)
    _produce(kafka, topic_prefix + "transactions", generated.transactions, [raw for raw, _ in bad])
    _produce(kafka, topic_prefix + "fraud-labels", generated.fraud_labels)

    events = activity.generate(7, users=USERS)
    _produce(kafka, topic_prefix + "user-events", events.user_events)

    # The second system runs beside the first one's and leaves its tiles alone.
    systems = [features] if features is EVERYTHING else [features, load("activity")]
    _run_flink(",".join(f.system for f in systems), kafka, topic_prefix)
    store = RedisStore(clean_redis)
    TileSink(SinkOptions(bootstrap=kafka, topic_prefix=topic_prefix, until_now=True), store).run()

    assert _differences(features, store, generated.arrived) == []
    if features is not EVERYTHING:
        assert _differences(load("activity"), store, events.arrived) == []
    arrived = without_duplicates(features.request, generated.transactions)
    reader = Reader(make_plan(features))
    counted = [
        reader.read(store, {**generated.transactions[0], "user_id": f"u{i}"}, START_MS).seen for i in range(USERS)
    ]
    for tile_spec in reader.plan.streamed:
        if tile_spec.entity == USER:
            assert sum(seen[tile_spec.seen_label()] for seen in counted) == len(arrived), tile_spec.key

    for tile_spec in reader.plan.speed:
        for merchant in {str(e["merchant_id"]) for e in arrived if tile_spec.entity.hot}:
            held = store.read([ReadKey(tile_spec.entity.name, merchant, ())]).replies[0].speed
            sizes = Counter(tuple(name.split(b"/")[1:3]) for name in held if name.count(b"/") > 1)
            for index, state in enumerate(tile_spec.keyed):
                most = state.size if state.kind == "last_k" else kept(state.size)
                own = [n for (_, at), n in sizes.items() if int(at) == index]
                assert own and max(own) <= most, state.label

    letters = list(dead_letters.read(kafka, topic_prefix))
    assert [letter.topic for letter in letters] == ["transactions"] * len(bad)
    by_raw = {base64.b64decode(letter.raw): letter for letter in letters if letter.raw}
    for raw, reason in bad:
        if raw:
            assert reason in by_raw[raw].reason
    assert sorted(letter.offset for letter in letters) == list(range(len(bad)))
    assert {letter.partition for letter in letters} == {1}


def test_the_stream_keeps_the_contract_and_no_other(kafka: str, topic_prefix: str) -> None:
    """Of every message in the table of values, those and only those that break their contract are dead letters."""
    create_topics(kafka, topic_prefix)
    producer = Producer({"bootstrap.servers": kafka})
    for topic, cases in CASES.items():
        for case in cases:
            producer.produce(topic_prefix + topic, case.raw, b"k", partition=0)
    assert producer.flush(30) == 0
    _run_flink("fraud,activity", kafka, topic_prefix)
    dead = {(letter.topic, letter.offset): letter.reason for letter in dead_letters.read(kafka, topic_prefix)}
    wrong = [
        (topic, str(case), dead.get((topic, offset), "counted"))
        for topic, cases in CASES.items()
        for offset, case in enumerate(cases)
        if ((topic, offset) in dead) == case.topic
    ]
    assert not wrong
    assert all(dead.values()), "each says why"

"""The count of everything anew, from the messages on the topics alone, and how it differs from what the store holds.

Values come from `lamina.semantics.reference`, which knows no tiles. Every tile's number of events is compared, of every
entity, and every speed feature of every entity at moments where its tiles are complete.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Consumer, KafkaError, TopicPartition
from redis import Redis

from lamina.clock import DAY_MS
from lamina.contracts.features import Layers, WindowFeature
from lamina.errors import ContractError
from lamina.semantics.events import EventRow, time_of, value_of
from lamina.semantics.plan import Plan, sources_of
from lamina.semantics.reference import Value, as_streamed, equal_numbers, evaluate, without_duplicates
from lamina.settings import Settings
from lamina.store.protocol import ReadKey, speed_key
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore
from lamina.store.tiles import event_count, tile_field
from lamina.streams import dead_letters
from lamina.streams.topics import contract_of

Place = tuple[str, int, int]
"""Topic without prefix, partition, offset."""
EXAMPLES = 10
MOMENTS = 2
"""Events of each entity whose moment is asked for."""


@dataclass
class Log:
    """What is on the topics: events in order of arrival by source and entity, ids by source, and what is no event."""

    events: dict[tuple[str, str], list[EventRow]]
    ids: dict[str, set[str]]
    broken: set[Place]
    messages: int


@dataclass
class Difference:
    """What was compared, and where the store is wrong. `lost` and `doubled` are in events a tile."""

    tiles: int = 0
    lost: int = 0
    doubled: int = 0
    tiles_wrong: int = 0
    features: int = 0
    features_wrong: int = 0
    letters_missing: int = 0
    letters_wrong: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Everything that is not as it should be."""
        return self.tiles_wrong + self.features_wrong + self.letters_missing + self.letters_wrong

    def note(self, text: str) -> None:
        """Keep an example."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(text)


def read_log(settings: Settings, plan: Plan) -> Log:
    """All messages of the topics that the speed layer reads."""
    log = Log(defaultdict(list), {}, set(), 0)
    for source in sources_of(plan, plan.speed):
        entities = {t.entity for t in plan.speed if t.source == source}
        contract, ids = contract_of(source.topic), set()
        for partition, offset, raw in messages(settings.kafka_bootstrap, settings.topic_prefix + source.topic):
            log.messages += 1
            try:
                contract.from_json(raw)
            except ContractError:
                log.broken.add((source.topic, partition, offset))
                continue
            event: EventRow = orjson.loads(raw)
            ids.add(str(value_of(event, source.id)))
            for entity in entities:
                log.events[source.name, speed_key(entity.name, str(value_of(event, entity.key)))].append(event)
        log.ids[source.name] = ids
    return log


def messages(bootstrap: str, topic: str) -> Iterator[tuple[int, int, bytes]]:
    """Partition, offset and value of every message that is on the topic now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "recount", "enable.partition.eof": True, "log_level": 0}
    )
    try:
        left = {}
        for p in consumer.list_topics(topic, 30).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), 30)
            if low < high:
                left[p] = (low, high)
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in left.items()])
        while left:
            for message in consumer.consume(5000, 0.2):
                p, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                if error is None and p in left and offset < left[p][1]:
                    yield p, offset, bytes(message.value() or b"")
                if (error is not None and error.code() == KafkaError._PARTITION_EOF) or (
                    error is None and p in left and offset >= left[p][1] - 1
                ):
                    left.pop(p, None)
    finally:
        consumer.close()


def expected_tiles(plan: Plan, log: Log) -> dict[str, Counter[bytes]]:
    """Events of every tile, by key of the entity and field."""
    found: dict[str, Counter[bytes]] = defaultdict(Counter)
    for tile_spec in plan.speed:
        for (source, key), events in log.events.items():
            if source != tile_spec.source.name or not key.startswith(f"{tile_spec.entity.name}:"):
                continue
            for event in as_streamed(tile_spec.source, events):
                start = tile_spec.start_ms(int(str(value_of(event, tile_spec.source.timestamp))))
                found[key][tile_field(tile_spec, start).encode()] += 1
    return found


def compare_tiles(
    plan: Plan, expected: Mapping[str, Counter[bytes]], redis_url: str, *, from_ms: int = 0
) -> Difference:
    """Every tile of every entity that starts at or after `from_ms`, also those that only one side knows."""
    found = Difference()
    client, store = Redis.from_url(redis_url), RedisStore(redis_url)
    keys = set(expected)
    for entity in {t.entity.name for t in plan.speed}:
        keys |= {key.decode() for key in client.scan_iter(f"{entity}:*", count=1000)}
    ordered = sorted(keys)
    for i in range(0, len(ordered), 500):
        some = ordered[i : i + 500]
        # Nothing is said of what it is for, so every tile comes, also of those that are folded.
        named = (key.partition(":") for key in some)
        replies = store.read([ReadKey(entity, entity_id, ()) for entity, _, entity_id in named]).replies
        for key, reply in zip(some, replies, strict=True):
            held = {
                name: event_count(payload)
                for name, payload in reply.speed.items()
                if name.count(b"/") == 1 and int(name.rpartition(b"/")[2]) >= from_ms
            }
            wanted = expected.get(key, Counter())
            for name in held.keys() | wanted.keys():
                found.tiles += 1
                off = held.get(name, 0) - wanted[name]
                found.lost, found.doubled = found.lost + max(-off, 0), found.doubled + max(off, 0)
                if off:
                    found.tiles_wrong += 1
                    found.note(f"{key} {name.decode()}: {held.get(name, 0)} events instead of {wanted[name]}")
    client.close()
    return found


def compare_features(plan: Plan, log: Log, redis_url: str, found: Difference, *, since_ms: int = 0) -> None:
    """Every feature of the speed layer, of every entity, at the ends of tiles from `since_ms` on; adds to `found`.

    Not at the millisecond of an event: a view without the request ends before it, and a tile holds it.
    """
    reader, store = Reader(plan), RedisStore(redis_url)
    features = [f for f in plan.features.window_features if f.view.layers == Layers.BOTH]
    request_source = plan.features.request
    for (source, key), events in log.events.items():
        unique = without_duplicates(request_source, events) if source == request_source.name else events
        times = {time_of(request_source, e) for e in unique}
        unique = [e for e in unique if time_of(request_source, e) >= since_ms]
        step = max(len(unique) // MOMENTS, 1)
        for event in unique[::step]:
            ts = time_of(request_source, event)
            for at_ms in {ts - ts % 1000 + 999, ts - ts % DAY_MS + DAY_MS - 1} - times:
                request = {**event, "transaction_id": "request", "timestamp": at_ms}
                values = reader.read(store, request, at_ms).values
                for feature in features:
                    if _asked(feature, source, key, at_ms):
                        found.features += 1
                        wanted = _wanted(feature, events, request, key, at_ms)
                        if not same(values[feature.name], wanted):
                            found.features_wrong += 1
                            found.note(f"{key} {feature.name} at {at_ms}: {values[feature.name]}, not {wanted}")


def _asked(feature: WindowFeature, source: str, key: str, at_ms: int) -> bool:
    """Whether the feature is about this entity, and its tiles are complete at this moment."""
    view = feature.view
    return (
        view.source.name == source and key.startswith(f"{view.entity.name}:") and (at_ms + 1) % view.resolution.ms == 0
    )


def _wanted(feature: WindowFeature, events: Sequence[EventRow], request: EventRow, key: str, at_ms: int) -> Value:
    return evaluate(feature, [*events, request], key.partition(":")[2], at_ms)


def same(value: Value, wanted: Value) -> bool:
    """Whether two values of a feature are equal, numbers but for the order of additions."""
    if isinstance(value, float) and isinstance(wanted, float):
        return equal_numbers(value, wanted)
    return value == wanted


def compare_letters(settings: Settings, log: Log, found: Difference) -> None:
    """Every message that is no event has a dead letter, and nothing else has; adds to `found`."""
    topics = {topic for topic, _, _ in log.broken}
    written = {
        (letter.topic, letter.partition, letter.offset)
        for letter in dead_letters.read(settings.kafka_bootstrap, settings.topic_prefix)
    }
    found.letters_missing = len(log.broken - written)
    found.letters_wrong = len({place for place in written if place[0] in topics} - log.broken)
    for place in sorted(log.broken ^ written):
        found.note(f"dead letter {place}: {'missing' if place in log.broken else 'of a good message'}")

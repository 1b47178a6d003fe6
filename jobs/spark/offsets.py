"""Which messages of a topic belong to which day: ranges of offsets, recorded beside the data they were archived to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import orjson

from lamina.errors import OffsetsLost, StreamError, TopicChanged
from lamina.lake import layout
from lamina.lake.files import children, move, name_of
from lamina.lake.write import open_lake
from lamina.streams.identity import TopicIdentity

MANIFEST = layout.OFFSETS


@dataclass(frozen=True)
class Range:
    """Offsets of one partition, from `start` up to and without `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


Ranges = Mapping[int, Range]


@dataclass(frozen=True)
class OffsetPlan:
    """What to archive, and what can no longer be: both by Kafka partition."""

    ranges: Ranges
    lost: Ranges = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """Offsets to be read."""
        return sum(len(r) for r in self.ranges.values())


def as_json(ranges: Ranges) -> dict[str, list[int]]:
    """Ranges as they are written down: `{"0": [start, end]}`."""
    return {str(partition): [r.start, r.end] for partition, r in sorted(ranges.items())}


def folder(lake: str, topic: str, day: date) -> str:
    """Where the archive of `topic` for `day` lies, beside what was imported for that day."""
    return f"{layout.events(lake, topic, day)}/{layout.ORIGIN}"


@dataclass(frozen=True)
class Record:
    """What was archived for a day: the ranges, of which topic (None: written before that was noted), and where."""

    ranges: Ranges
    topic: TopicIdentity | None
    url: str


def records(lake: str, topic: str) -> dict[date, Record]:
    """Records by the day they were archived for; days that the quality gate keeps aside are archived too."""
    return {
        **dict(_records(layout.quarantine(lake, topic, date.min))),
        **dict(_records(layout.events(lake, topic, date.min))),
    }


def recorded(lake: str, topic: str) -> dict[date, Ranges]:
    """Ranges by the day they were archived for."""
    return {day: record.ranges for day, record in records(lake, topic).items()}


def _records(any_day: str) -> Iterator[tuple[date, Record]]:
    fs, path = open_lake(any_day.rsplit("/", 1)[0])
    for folder in children(fs, path):
        if not name_of(folder).startswith("ingested="):
            continue
        file = f"{open_lake(str(fs.unstrip_protocol(folder)))[1]}/{layout.ORIGIN}/{MANIFEST}"
        if not fs.exists(file):
            continue
        found = orjson.loads(fs.cat_file(file))
        ranges = {int(p): Range(*ends) for p, ends in found["offsets"].items()}
        identity = TopicIdentity(found["cluster"], found["topic_id"]) if "topic_id" in found else None
        yield date.fromisoformat(found["date"]), Record(ranges, identity, str(fs.unstrip_protocol(file)))


def of_topic(
    topic: str, day: date, found: Mapping[date, Record], now: TopicIdentity, *, allow_gap: bool
) -> dict[date, Ranges]:
    """The ranges among `found` that are offsets of the topic as it is `now`; one that does not say is taken to be.

    Args: allow_gap: go on with a topic that was made anew, from its beginning.
    Raises: TopicChanged: when others are of another topic and `allow_gap` is False, or `day` itself was archived from
    another.
    """
    others = {d: r.topic for d, r in found.items() if r.topic not in (None, now)}
    if day in others:
        raise TopicChanged(
            f"{topic} for {day} was archived from the topic with {others[day]}, and is {now} now: the archived data "
            "was left as it is, and is the only copy"
        )
    if others and not allow_gap and not _goes_on(found, now):
        last = max(others)
        raise TopicChanged(
            f"{topic} was archived for {last} from the topic with {others[last]}, and is {now} now: it was made anew, "
            "with other offsets. Have the old one back, or archive the new one from its beginning by --allow-gap"
        )
    return {d: r.ranges for d, r in found.items() if d not in others}


def _goes_on(found: Mapping[date, Record], now: TopicIdentity) -> bool:
    """Whether the topic as it is now was archived before: somebody has said that it is to be gone on with."""
    return any(record.topic == now for record in found.values())


def note(found: Mapping[date, Record], now: TopicIdentity) -> None:
    """Write into records that do not say of which topic they are that they are of the one of `now`."""
    for record in found.values():
        if record.topic is None:
            fs, path = open_lake(record.url)
            said = orjson.loads(fs.cat_file(path)) | as_fields(now)
            partial = f"{path}.partial"
            fs.pipe_file(partial, orjson.dumps(said))
            move(fs, partial, path)


def as_fields(identity: TopicIdentity) -> dict[str, str]:
    """An identity as it is written down."""
    return {"cluster": identity.cluster, "topic_id": identity.topic_id}


def plan(
    topic: str,
    day: date,
    archived: Mapping[date, Ranges],
    earliest: Mapping[int, int],
    latest: Mapping[int, int],
    *,
    allow_gap: bool,
) -> OffsetPlan:
    """What to archive for `day`: in a rerun the same as before; else from where the day before ended, up to where the
    next archived day begins, or to the newest message.

    Args: earliest, latest: what Kafka holds by partition, the latter not included; allow_gap: go on without the lost.
    Raises: OffsetsLost: when messages of the range are gone.
    """
    if day in archived:
        return OffsetPlan(_again(topic, day, archived[day], earliest, latest))
    before = max((d for d in archived if d < day), default=None)
    after = min((d for d in archived if d > day), default=None)
    starts = {} if before is None else {p: r.end for p, r in archived[before].items()}
    # A partition that the next archived day does not know had no messages then.
    ends = (
        latest
        if after is None
        else {p: archived[after][p].start if p in archived[after] else earliest[p] for p in latest}
    )
    ranges, lost = {}, {}
    for p in sorted(latest):
        start, end = starts.get(p, earliest[p]), ends[p]
        if start > latest[p]:
            if not allow_gap:
                raise OffsetsLost(
                    f"{topic} partition {p} was archived up to offset {start}, but ends at {latest[p]} now: the "
                    "topic was made anew; --allow-gap archives it from its beginning"
                )
            start = earliest[p]
        if start < min(earliest[p], end):
            lost[p] = Range(start, min(earliest[p], end))
            start = lost[p].end
        ranges[p] = Range(min(start, end), end)
    if lost and not allow_gap:
        gone = "; ".join(f"partition {p}: offsets {r.start} to {r.end - 1}" for p, r in lost.items())
        raise OffsetsLost(
            f"{topic} for {day}: Kafka has deleted messages before they were archived ({gone}): --allow-gap goes on "
            "without"
        )
    return OffsetPlan(ranges, lost)


def _again(topic: str, day: date, ranges: Ranges, earliest: Mapping[int, int], latest: Mapping[int, int]) -> Ranges:
    for p, r in ranges.items():
        if not are_held({p: r}, earliest, latest):
            raise OffsetsLost(
                f"{topic} for {day} was archived from partition {p}, offsets {r.start} to {r.end - 1}, which Kafka no "
                "longer holds: the archived data was left as it is"
            )
    return ranges


def are_held(ranges: Ranges, earliest: Mapping[int, int], latest: Mapping[int, int]) -> bool:
    """Whether Kafka still holds every message of `ranges`.

    >>> are_held({0: Range(3, 9)}, {0: 0}, {0: 9}), are_held({0: Range(3, 9)}, {0: 4}, {0: 9})
    (True, False)
    """
    return not any(len(r) and (r.start < earliest.get(p, 0) or r.end > latest.get(p, 0)) for p, r in ranges.items())


def held(bootstrap: str, topic: str) -> tuple[dict[int, int], dict[int, int]]:
    """First offset, and first offset not yet written, by partition of the topic with this real name.

    Raises: StreamError: when Kafka does not answer or has no such topic.
    """
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            if not partitions:
                raise StreamError(f"topic {topic} does not exist on {bootstrap}: `make up` creates the topics")
            earliest, latest = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        finally:
            consumer.close()
    except (KafkaError, OSError) as error:
        raise StreamError(f"offsets of {topic} on {bootstrap} cannot be read ({error}): see `make status`") from error
    return {p.partition: n for p, n in earliest.items()}, {p.partition: n for p, n in latest.items()}

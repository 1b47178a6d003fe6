"""The likeliest order of arrival, and the sets of events that other orders allow."""

from __future__ import annotations

import random
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from jobs.spark.arrivals import MOST_ORDERS, NEAREST, in_order, numbers, readable
from lamina.definitions.activity import USER_EVENTS
from lamina.semantics.events import EventRow

DAYS = ("2026-02-17", "2026-02-18")


def _event(number: int, partition: int = 0, tile: object = None, at: int = 0, day: str = DAYS[0]) -> EventRow:
    return {"id": number, "partition": partition, "tile": tile, "timestamp": at, "ingested": day}


def _tried(events: list[EventRow], seen: int) -> list[list[object]]:
    found = readable(events, seen, lambda e: e["tile"])
    return [[e["id"] for e in found.events(chosen)] for chosen in found.sets]


def test_orders_keep_each_tile_in_order() -> None:
    events = [_event(0, tile="a"), _event(1, tile="a"), _event(2, tile="b")]
    # Without the first event of tile a the second one cannot be readable.
    assert _tried(events, 2) == [[0, 1], [0, 2]]


def test_tiles_of_a_busy_key_may_each_be_late_by_several_events() -> None:
    events = [_event(i, tile=i // 4) for i in range(16)]
    # Of the second tile nothing was readable yet, of the last its first two, of the others all.
    late = [i for i, e in enumerate(events) if e["tile"] != 1 and i < 14]
    tried = _tried(events, len(late))
    assert late in tried
    # One for each way to miss six events of four tiles with four each.
    assert len(tried) == len({tuple(one) for one in tried}) == 68


def test_what_had_not_arrived_is_not_tried() -> None:
    events = [_event(i) for i in range(2)]
    assert _tried(events, 2) == [[0, 1]]
    assert _tried(events, 3) == []


def test_a_partition_may_be_behind_another() -> None:
    # One tile: of the first partition nothing was readable yet.
    events = [_event(i, partition=i % 2, tile="a") for i in range(8)]
    tried = _tried(events, 4)
    assert tried[0] == [0, 1, 2, 3]
    assert [1, 3, 5, 7] in tried
    # By partition each in its order: how many of the four are of the first says all.
    assert len(tried) == 5


def test_events_long_before_were_readable_and_those_long_after_not() -> None:
    events = [_event(i, partition=i % 4, tile=i) for i in range(100)]
    for one in _tried(events, 50):
        assert set(one) >= set(range(50 - NEAREST))
        assert max(int(str(i)) for i in one) < 50 + NEAREST
    assert len(_tried(events, 50)) <= 3 * MOST_ORDERS


@given(st.data())
def test_every_order_that_partitions_and_tiles_allow_is_tried_where_they_are_few(data: st.DataObject) -> None:
    places = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=7))
    events = [_event(i, partition=p, tile=t) for i, (p, t) in enumerate(places)]
    seen = data.draw(st.integers(0, len(events)))
    one_partition = len({p for p, _ in places}) == 1

    def may_be(chosen: tuple[int, ...]) -> bool:
        """Whether no event is readable without an earlier one of its tile and partition."""
        return all(
            i in chosen
            for j in chosen
            for i in range(j)
            if places[i] == places[j] or (one_partition and places[i][1] == places[j][1])
        )

    allowed = {chosen for chosen in combinations(range(len(events)), seen) if may_be(chosen)}
    tried = [tuple(int(str(i)) for i in one) for one in _tried(events, seen)]
    assert set(tried) == allowed
    assert len(tried) == len(allowed)


def test_one_partition_keeps_its_order_whatever_the_times_say() -> None:
    events = [_event(i, at=at) for i, at in enumerate((50, 20, 90, 10))]
    assert in_order(USER_EVENTS, events) == events


def test_partitions_are_merged_by_time_and_day() -> None:
    rng = random.Random(5)
    events = [_event(i, rng.randrange(4), at=1000 * i, day=DAYS[i // 20]) for i in range(40)]
    by_partition = sorted(events, key=lambda e: (str(e["ingested"]), int(str(e["partition"]))))
    assert in_order(USER_EVENTS, by_partition) == events


def test_a_late_event_and_a_clock_ahead_move_nobody_else() -> None:
    events = [_event(i, i % 2, at=1000 * i) for i in range(20)]
    late, ahead = {**events[10], "timestamp": 10}, {**events[13], "timestamp": 10**9}
    told = [*events[:10], late, *events[11:13], ahead, *events[14:]]
    by_partition = [e for p in range(2) for e in told if e["partition"] == p]
    found = in_order(USER_EVENTS, by_partition)
    # Where they stand among the neighbours of the other partition is not known.
    assert [e["id"] for e in found if e["id"] not in (10, 13)] == [i for i in range(20) if i not in (10, 13)]
    assert {abs([e["id"] for e in found].index(i) - i) for i in (10, 13)} <= {0, 1, 2}


def test_a_full_tile_does_not_tell_how_many_values_came() -> None:
    assert numbers("aabb", 3, 3, 1) == [3]
    # From the third on tile a is full.
    assert numbers("aaaaab", 2, 2, 4) == [4, 3, 5, 2]
    assert numbers("aaaaab", 2, 3, 4) == [6]
    # A displaced value that is still there.
    assert numbers("aaaa", 2, 3, 3) == [3, 2, 4]

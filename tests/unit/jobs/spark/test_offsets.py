"""Which offsets belong to a day: every message to exactly one, whatever order the days are run in."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.spark.offsets import Range, Ranges, as_json, plan
from lamina.errors import OffsetsLost

FIRST = date(2018, 8, 1)


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def test_the_first_day_begins_with_the_oldest_message() -> None:
    found = plan("t", day(0), {}, {0: 5, 1: 0}, {0: 9, 1: 0}, allow_gap=False)
    assert found.ranges == {0: Range(5, 9), 1: Range(0, 0)}
    assert (found.messages, found.lost) == (4, {})


def test_the_next_day_begins_where_the_last_ended_and_a_new_partition_at_its_oldest() -> None:
    archived = {day(0): {0: Range(0, 9)}, day(3): {0: Range(9, 12)}}
    found = plan("t", day(5), archived, {0: 0, 1: 0}, {0: 20, 1: 4}, allow_gap=False)
    assert found.ranges == {0: Range(12, 20), 1: Range(0, 4)}


def test_a_rerun_reads_the_same_range() -> None:
    archived = {day(0): {0: Range(0, 9)}}
    assert plan("t", day(0), archived, {0: 0}, {0: 50}, allow_gap=False).ranges == {0: Range(0, 9)}


def test_a_skipped_day_takes_nothing_from_the_next_one() -> None:
    archived = {day(0): {0: Range(0, 9)}, day(2): {0: Range(9, 12)}}
    assert plan("t", day(1), archived, {0: 0}, {0: 50}, allow_gap=False).messages == 0


def test_a_day_before_all_others_takes_what_is_still_there_before_them() -> None:
    archived = {day(2): {0: Range(4, 12)}}
    assert plan("t", day(1), archived, {0: 0}, {0: 50}, allow_gap=False).ranges == {0: Range(0, 4)}


def test_lost_messages_are_named_and_can_be_passed_over() -> None:
    archived = {day(0): {0: Range(0, 9), 1: Range(0, 3)}}
    with pytest.raises(OffsetsLost, match=r"partition 0: offsets 9 to 14\b.*--allow-gap"):
        plan("t", day(1), archived, {0: 15, 1: 0}, {0: 20, 1: 3}, allow_gap=False)
    found = plan("t", day(1), archived, {0: 15, 1: 0}, {0: 20, 1: 3}, allow_gap=True)
    assert found.ranges == {0: Range(15, 20), 1: Range(3, 3)}
    assert as_json(found.lost) == {"0": [9, 15]}


def test_a_topic_that_was_made_anew_is_not_taken_for_an_empty_one() -> None:
    archived = {day(0): {0: Range(0, 900)}}
    with pytest.raises(OffsetsLost, match="made anew"):
        plan("t", day(1), archived, {0: 0}, {0: 20}, allow_gap=False)
    assert plan("t", day(1), archived, {0: 0}, {0: 20}, allow_gap=True).ranges == {0: Range(0, 20)}


@pytest.mark.parametrize("allow_gap", [False, True])
def test_a_rerun_of_deleted_messages_leaves_the_archive_alone(allow_gap: bool) -> None:
    archived = {day(0): {0: Range(0, 9)}}
    with pytest.raises(OffsetsLost, match="left as it is"):
        plan("t", day(0), archived, {0: 1}, {0: 20}, allow_gap=allow_gap)


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 5), min_size=2, max_size=2)), max_size=12))
def test_no_message_is_archived_twice_or_left_out(runs: list[tuple[int, list[int]]]) -> None:
    """Days in any order, some twice, messages arriving in between."""
    archived: dict[date, Ranges] = {}
    latest = {0: 0, 1: 0}
    for n, arrived in runs:
        latest = {p: latest[p] + arrived[p] for p in latest}
        archived[day(n)] = plan("t", day(n), archived, {0: 0, 1: 0}, latest, allow_gap=False).ranges
    for p in latest:
        covered = sorted((r[p].start, r[p].end) for r in archived.values() if len(r[p]))
        assert all(a[1] == b[0] for a, b in itertools.pairwise(covered))
        if covered:
            assert covered[0][0] == 0

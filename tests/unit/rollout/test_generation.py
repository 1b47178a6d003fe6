"""What makes two definitions two generations, and that a recorded definition is the one that was recorded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lamina.contracts.features import days, hours, seconds
from lamina.definitions import load, system_names
from lamina.errors import DefinitionError
from lamina.rollout.generation import (
    Generation,
    covers,
    lacking,
    reaching,
    read_features,
    stream_job_name,
    write_features,
)
from tests.unit.rollout.sets import NEW, OLD, PEAKS, SPEND, VARIETY


@pytest.mark.parametrize("system", system_names())
def test_recorded_definitions_keep_the_same_tiles(system: str) -> None:
    features = load(system)
    again = Generation(read_features(write_features(features)))
    assert again.features == features
    assert (again.id, again.job_name) == (Generation(features).id, Generation(features).job_name)
    assert again.plan == Generation(features).plan


def test_what_is_kept_tells_generations_apart() -> None:
    assert Generation(OLD).id != Generation(NEW).id
    assert Generation(OLD).job_name != Generation(NEW).job_name
    assert re.fullmatch("[0-9a-f]{8}", Generation(OLD).id)


def test_what_is_only_read_does_not() -> None:
    """A limit of staleness, or an owner, changes nothing that has to be filled."""
    other = replace(OLD, views=(replace(SPEND, stale_after=seconds(5), owner="somebody"), PEAKS))
    assert other != OLD
    assert Generation(other).id == Generation(OLD).id


def test_a_longer_window_is_to_be_filled_by_the_batch_layer_alone() -> None:
    longer = replace(OLD, views=(replace(SPEND, windows=(*SPEND.windows, days(30))), PEAKS))
    assert Generation(longer).id != Generation(OLD).id
    assert Generation(longer).job_name == Generation(OLD).job_name
    assert [t.resolution for t in lacking(Generation(longer).plan, [Generation(OLD).plan])] == [seconds(1)]
    assert lacking(Generation(OLD).plan, [Generation(longer).plan]) == ()


def test_values_that_are_asked_for_further_back_are_to_be_filled() -> None:
    """Blobs leave out values that no window reaches: with a longer one they are missed, though the tiles are there."""
    hour = replace(VARIETY, windows=(hours(1),))
    short, longer = (replace(OLD, views=(SPEND, PEAKS, view)) for view in (hour, VARIETY))
    old, new = Generation(short).plan, Generation(longer).plan
    assert {t.key: t.horizon_s for t in old.tile_specs} == {t.key: t.horizon_s for t in new.tile_specs}
    assert Generation(short).id != Generation(longer).id
    assert [t.resolution for t in lacking(new, [old])] == [seconds(1)]
    assert lacking(old, [new]) == ()


def test_tiles_reach_back_as_far_as_any_asks() -> None:
    hour = replace(VARIETY, windows=(hours(1),))
    one = replace(OLD, views=(replace(SPEND, windows=(hours(1), days(30))), PEAKS, hour))
    other = replace(OLD, views=(SPEND, PEAKS, VARIETY))
    first, second = (Generation(each).plan for each in (one, other))
    (mine,) = lacking(first, [second])
    (theirs,) = lacking(second, [first])
    assert mine.key == theirs.key
    both = reaching(mine, second.tile_specs)
    assert all(covers(both.reach, each) for each in (mine, theirs))


def test_what_is_lacking_is_what_no_other_keeps() -> None:
    old, new = Generation(OLD).plan, Generation(NEW).plan
    assert lacking(new, []) == new.tile_specs
    assert lacking(new, [new]) == ()
    assert {t.key for t in lacking(new, [old])} == {t.key for t in new.tile_specs} - {t.key for t in old.tile_specs}


def test_the_job_follows_the_source() -> None:
    elsewhere = replace(SPEND.source, topic="other")
    moved = replace(OLD, request=elsewhere, views=tuple(replace(v, source=elsewhere) for v in OLD.views))
    assert stream_job_name(Generation(moved).plan) != stream_job_name(Generation(OLD).plan)


def test_definitions_of_another_version_are_told() -> None:
    with pytest.raises(DefinitionError, match=r"cannot be read by this version \(request: Field required\)"):
        read_features('{"system": "fraud", "views": []}')

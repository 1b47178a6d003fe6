"""What is written can be read, and what cannot be read is said."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest

from lamina.clock import DAY_MS
from lamina.definitions.fraud import FEATURES, USER_HISTORY, USER_VELOCITY
from lamina.errors import CodecError
from lamina.semantics.plan import State, make_plan
from lamina.store.blobs import decode_batch, encode_batch, open_batch, reachable
from lamina.store.tiles import TileColumns, decode_speed, encode_speed, event_count, keyed_field, tile_field

COARSE = make_plan(FEATURES).tile_spec_of(USER_HISTORY.features[0])


def test_batch_round_trip() -> None:
    tiles = TileColumns([1000, 5000], [1, 2], [[1.0, 2.0], [0.1, 1e300]], [["a", None]], [[["x"], ["x", "ÿ"]]])
    through, found = decode_batch(encode_batch(1_533_686_400_000, tiles))
    assert through == 1_533_686_400_000
    assert list(found.starts) == [1000, 5000]
    assert [list(c) for c in found.numeric] == tiles.numeric
    assert [list(c) for c in found.texts] == tiles.texts
    assert [list(c) for c in found.sets] == [[["x"], ["x", "ÿ"]]]


@pytest.mark.parametrize("starts", [[7000], [1000, 7000], [1000, 2000, 3000, 7000]])
def test_the_newest_of_a_blobs_tiles_is_known_without_reading_them(starts: list[int]) -> None:
    tiles = TileColumns(starts, [1] * len(starts), [[0.5] * len(starts)])
    assert open_batch(encode_batch(9000, tiles)).newest_ms == 7000


def test_sets_of_hashes_round_trip() -> None:
    sets = [[["00ff", "ffffffffffffffff"], [], ["00ff"]], [["x"], [], []], [[], [], ["1"]]]
    tiles = TileColumns([1000, 2000, 3000], [2, 1, 1], [], [], [[[v.zfill(16) for v in s] for s in c] for c in sets])
    found = decode_batch(encode_batch(4000, tiles, (0, 2)))[1].sets
    assert [[list(values) for values in column] for column in found] == tiles.sets


def test_a_state_that_equals_the_event_counts_is_not_written_twice() -> None:
    tiles = TileColumns([0, 1000], [3, 5], [[3.0, 5.0], [3.0, 4.0], [3.0, 5.0]])
    blob = encode_batch(2000, tiles)
    assert len(blob) < len(encode_batch(2000, TileColumns([0, 1000], [3, 5], [[1.0, 1.0]] * 3)))
    assert [list(c) for c in decode_batch(blob)[1].numeric] == tiles.numeric


def test_a_blob_leaves_out_what_no_question_reaches() -> None:
    """Merchants of an hour, and places that are not the newest, from before a day that late questions are granted."""
    tile_spec = make_plan(FEATURES).tile_spec_of(USER_VELOCITY.features[0])
    through, hour = 100 * DAY_MS, DAY_MS // 24
    starts = [through - 5 * DAY_MS, through - DAY_MS - 2 * hour, through - DAY_MS - hour, through - DAY_MS, through - 1]
    texts = sum(not s.numeric for s in tile_spec.states)
    kept = reachable(
        tile_spec, TileColumns(starts, [1] * 5, [], [["a", "b", None, None, "c"]] * texts, [[["m"]] * 5]), through
    )
    assert (list(kept.starts), texts) == (starts, 2)
    assert kept.texts == [[None, "b", None, None, "c"]] * 2
    assert kept.sets == [[(), (), ["m"], ["m"], ["m"]]]


def test_a_blob_keeps_what_is_asked_for_to_the_second() -> None:
    tile_spec = make_plan(FEATURES).tile_spec_of(USER_VELOCITY.features[0])
    (hour_back,) = {s.horizon_s for s in tile_spec.keyed}
    through = 100 * DAY_MS
    first = through - DAY_MS - 1000 * hour_back
    kept = reachable(
        tile_spec, TileColumns([first - 1000, first], [1] * 2, [], [[None] * 2] * 2, [[["m"]] * 2]), through
    )
    assert kept.sets == [[(), ["m"]]]


def test_a_blob_keeps_what_more_than_the_newest_answers() -> None:
    """Of a first value any may be asked for; and of a last one where questions come later than its events by days."""
    tile_spec = make_plan(FEATURES).tile_spec_of(USER_VELOCITY.features[0])
    through, old = 100 * DAY_MS, 10 * 86_400
    states = State("first", "a", horizon_s=old), State("last", "b", horizon_s=old, delayed=True)
    newest = State("last", "c", horizon_s=old)
    own = replace(tile_spec, states=(*states, newest), keyed=(State("distinct", "d", horizon_s=old),))
    starts = [through - 9 * DAY_MS, through - 5 * DAY_MS, through - 3 * DAY_MS]
    kept = reachable(own, TileColumns(starts, [1] * 3, [], [["a", "b", "c"]] * 3, [[["m"]] * 3]), through)
    assert kept.texts == [["a", "b", "c"], ["a", "b", "c"], [None, None, "c"]]
    assert kept.sets == [[["m"]] * 3]


def test_a_blob_keeps_every_value_that_is_younger_than_a_day() -> None:
    tile_spec = make_plan(FEATURES).tile_spec_of(USER_VELOCITY.features[0])
    through = 100 * DAY_MS
    starts = [through - DAY_MS, through - 1000]
    kept = reachable(tile_spec, TileColumns(starts, [1] * 2, [], [["a", "b"]] * 2, [[["m"]] * 2]), through)
    assert kept.texts == [["a", "b"]] * 2


def test_an_empty_blob_round_trip() -> None:
    assert list(decode_batch(encode_batch(0, TileColumns([], [], [[]])))[1].starts) == []


@pytest.mark.parametrize("blob", [b"", b"LMT9" + b"0" * 40, encode_batch(5, TileColumns([1], [1], [[1.0]]))[:-30]])
def test_bytes_of_another_kind_are_refused_with_the_next_step(blob: bytes) -> None:
    with pytest.raises(CodecError, match="features_daily"):
        decode_batch(blob)


def test_speed_tiles_before_the_batch_layers_end_are_left_out() -> None:
    states = [None if s.kind == "last" else 1.0 for s in COARSE.states]
    fields = {tile_field(COARSE, start).encode(): encode_speed(n, states) for start, n in ((1000, 3), (2000, 4))}
    fields |= {keyed_field(COARSE, 2000, 0, v).encode(): b"2" for v in ("a/b", "c")}
    fields |= {b"other@1s#000000/1000": b"9"}
    found = decode_speed([COARSE], fields, {COARSE.id: 2000})[COARSE.id]
    assert (list(found.tiles.n), [list(n) for n in found.keyed_n]) == ([4], [[4], [0]])
    assert list(found.tiles.starts) == [2000]
    assert sorted(found.tiles.sets[0][0]) == ["a/b", "c"]


def test_values_whose_tile_is_not_there_yet_are_told() -> None:
    """Each value has a field of its own, which may come first."""
    counts = {"a": 2, "b": 2, "c": 1}
    fields = {keyed_field(COARSE, 1000, 0, v).encode(): str(n).encode() for v, n in counts.items()}
    found = decode_speed([COARSE], fields, {})[COARSE.id]
    assert (list(found.tiles.n), [list(n) for n in found.keyed_n]) == ([0], [[5], [0]])
    assert sorted(found.tiles.sets[0][0]) == ["a", "b", "c"]
    assert all(c[0] == 0.0 or isnan(c[0]) for c in found.tiles.numeric)


def test_the_tile_in_which_the_batch_layer_ends_is_decoded() -> None:
    """From the first millisecond on where nothing is said, and in order of time whatever that of the fields."""
    states = [None] * len(COARSE.states)
    starts = (5000, 0, 1000)
    fields = {tile_field(COARSE, start).encode(): encode_speed(1 + start, states) for start in starts}
    found = decode_speed([COARSE], fields, {})[COARSE.id].tiles
    assert (list(found.starts), list(found.n)) == ([0, 1000, 5000], [1, 1001, 5001])


def test_a_short_tile_holds_its_values_itself() -> None:
    tile_spec = make_plan(FEATURES).speed[0]
    assert tile_spec.inline
    sets: list[list[str]] = [["a", "b"], *([] for _ in tile_spec.keyed[1:])]
    fields = {tile_field(tile_spec, 1000).encode(): encode_speed(2, [None] * len(tile_spec.states), sets)}
    found = decode_speed([tile_spec], fields, {})[tile_spec.id]
    assert [column[0] for column in found.tiles.sets] == sets
    assert not found.keyed_n


@pytest.mark.parametrize("payload", [b"2\x1f1.0", b"two", b"\xff", b"1" + b"\x1fx" * 30])
def test_a_tile_that_is_no_tile_is_told_with_the_next_step(payload: bytes) -> None:
    with pytest.raises(CodecError, match="features rebuild"):
        decode_speed([COARSE], {tile_field(COARSE, 1000).encode(): payload}, {})


def test_a_missing_number_stays_missing_and_a_missing_sum_is_zero() -> None:
    empty: list[float | None] = [None] * len(COARSE.states)
    fields = {tile_field(COARSE, 1000).encode(): encode_speed(1, empty)}
    numeric = decode_speed([COARSE], fields, {})[COARSE.id].tiles.numeric
    kinds = [s.kind for s in COARSE.states if s.numeric]
    assert [isnan(c[0]) for c in numeric] == [k in ("min", "max", "first_time", "last_time") for k in kinds]


def test_what_is_missing_is_written_as_nothing() -> None:
    assert (
        encode_speed(3, [float("nan"), None, 2.5, "x"], [["a", "b"], []], [4])
        == b"3\x1f\x1f\x1f2.5\x1fx\x1fa\x1db\x1f\x1f4"
    )


def test_event_count() -> None:
    assert event_count(b"12\x1f3.5") == event_count(b"12") == 12

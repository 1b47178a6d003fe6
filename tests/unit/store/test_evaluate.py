"""Every kind of aggregate on events that can be counted on fingers, at the edges of windows, gaps and layers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.tiles import batch_writes, speed_writes
from lamina.contracts.aggregates import (
    Predicate,
    count,
    decayed_count,
    distinct,
    first,
    first_time,
    last,
    last_k,
    last_time,
    maximum,
    mean,
    minimum,
    session_count,
    std,
    total,
)
from lamina.contracts.features import Elapsed, FeatureSet, FeatureView, Ratio, seconds
from lamina.definitions.fraud import TRANSACTIONS, USER
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import evaluate_all
from lamina.store.evaluate import Span, SpecTiles, segments_of
from lamina.store.memory import MemoryStore
from lamina.store.reader import Reader
from lamina.store.tiles import TileColumns
from tests.parity.differences import differences
from tests.parity.generated import generate

NOON = 1_533_729_600_000
FRENCH = Predicate("country", "=", "FR")
PAID = generate(1, n=40).transactions[0]
AGGREGATES = (
    count("n"),
    total("amount", "total"),
    mean("amount", "mean"),
    std("amount", "std"),
    minimum("amount", "least"),
    maximum("amount", "most"),
    minimum("amount", "least_french", where=FRENCH),
    maximum("amount", "most_french", where=FRENCH),
    first_time("first_time"),
    last_time("last_time"),
    first_time("first_french", where=FRENCH),
    last_time("last_french", where=FRENCH),
    first("country", "first_country"),
    last("country", "last_country"),
    last("amount", "last_amount"),
    last_k("country", "newest", k=1),
    last_k("amount", "newest_amounts", k=2),
    distinct("country", "countries", cap=3),
    distinct("transaction_id", "ids", cap=3),
    session_count("session", gap=seconds(3)),
    decayed_count("decayed", half_life=seconds(5)),
)


def view(name: str, *, include_request: bool) -> FeatureView:
    return FeatureView(
        name=name,
        entity=USER,
        source=TRANSACTIONS,
        owner="tests",
        aggregates=tuple(replace(a, name=f"{name}_{a.name}") for a in AGGREGATES),
        windows=(seconds(10), seconds(4)),
        resolution=seconds(1),
        include_request=include_request,
        suffix=True,
    )


FEATURES = FeatureSet(
    system="small",
    request=TRANSACTIONS,
    views=(view("before", include_request=False), view("now", include_request=True)),
    ratios=(
        Ratio("share", "now_n_4s", "before_n_10s"),
        Ratio("against", "now_mean_4s", "before_mean_10s", default=None),
    ),
    elapsed=(Elapsed("since", "before_last_time_10s"), Elapsed("took", "before_first_french_10s", "now_last_time_4s")),
)
PLAN = make_plan(FEATURES)
READER = Reader(PLAN)


def paid(number: int, at_ms: int, amount: float | None, country: str | None) -> EventRow:
    own = {"transaction_id": f"t{number}", "user_id": "u", "timestamp": at_ms, "amount": amount, "country": country}
    return {**PAID, **own}


AT_MS = NOON + 900
REQUEST = paid(50, AT_MS, 7.0, "US")
STORIES: dict[str, list[tuple[int, float | None, str | None]]] = {
    "nothing": [],
    "one": [(-1500, 3.0, "FR")],
    "the first and last millisecond of the windows": [
        (-10_000, 1.0, "BE"),
        (-9_001, 2.0, "FR"),
        (-9_000, 4.0, "DE"),
        (-4_000, 8.0, "FR"),
        (-3_001, 16.0, "BE"),
        (-3_000, 32.0, "NL"),
        (-1, 64.0, "FR"),
    ],
    "a session with gaps of just as long": [(-8_100, 1.0, "FR"), (-5_100, 2.5, "FR"), (-2_100, 3.5, "FR")],
    "a session that is over": [(-8_100, 1.0, "FR"), (-5_100, 2.5, "FR"), (-2_101, 3.5, "FR")],
    "a session with a gap within": [(-4_801, 1.0, "FR"), (-1_800, 2.5, "FR"), (-1_500, 3.5, "FR")],
    "what is asked for is in the middle": [
        (-8_000, None, "BE"),
        (-6_000, 5.5, "FR"),
        (-5_000, 2.5, "FR"),
        (-2_000, 9.0, "BE"),
        (-1_000, None, None),
    ],
    "the oldest alone counts": [(-3_000, 5.5, "FR"), (-2_000, None, "BE"), (-1_000, None, None)],
    "the newest alone counts": [(-3_000, None, None), (-2_000, None, "BE"), (-1_000, 5.5, "FR")],
    "no value at all": [(-3_000, None, None), (-2_000, None, None)],
    "several in a second": [(-1_800, 4.0, "FR"), (-1_700, 1.0, "BE"), (-1_600, 9.0, "FR"), (-1_600, 9.0, "DE")],
    "the second of the request": [(-500, 4.0, "DE"), (100, 1.0, "FR"), (899, 2.0, "BE")],
    "more values than are counted": [(-1_000 * i, float(i), f"C{i}") for i in range(8, 0, -1)],
    "negative numbers": [(-5_000, -2.0, "FR"), (-4_000, -8.5, "FR"), (-1_000, -0.5, "BE")],
}


@pytest.mark.parametrize("story", STORIES)
def test_a_vector_is_what_the_reference_says(story: str) -> None:
    """Wherever the batch layer ends, of one request alone and of several at once."""
    events = [paid(100 + i, NOON + at, amount, country) for i, (at, amount, country) in enumerate(STORIES[story])]
    arrived = {"transactions": events}
    nobody = {**REQUEST, "user_id": "nobody"}
    want = evaluate_all(FEATURES, {"transactions": [*events, REQUEST]}, REQUEST, AT_MS)
    unknown = evaluate_all(FEATURES, {"transactions": [nobody]}, nobody, AT_MS)
    for through in (0, NOON - 5_000, NOON - 3_000, NOON):
        store = MemoryStore()
        if through:
            store.publish(batch_writes(PLAN, arrived, through))
        store.write_tiles(speed_writes(PLAN.speed, arrived, through))
        assert not differences(want, READER.read(store, REQUEST, AT_MS).values), through
        several = READER.read_many(store, [nobody, REQUEST, nobody, REQUEST], [AT_MS] * 4)
        for expected, vector in zip((unknown, want, unknown, want), several, strict=True):
            assert not differences(expected, vector.values), through


def test_each_of_several_requests_is_answered_for_its_own_time() -> None:
    events = [paid(100 + i, NOON - 1_000 * i, float(i * i), "FR") for i in range(12, 0, -1)]
    store, times = MemoryStore(), [NOON, NOON + 2_500, NOON + 60_000]
    store.write_tiles(speed_writes(PLAN.speed, {"transactions": events}, 0))
    requests = [{**REQUEST, "timestamp": at} for at in times]
    found = READER.read_many(store, requests, times)
    for request, at_ms, vector in zip(requests, times, found, strict=True):
        want = evaluate_all(FEATURES, {"transactions": [*events, request]}, request, at_ms)
        assert not differences(want, vector.values), at_ms


def test_the_smallest_of_as_many_values_is_a_fraction_all_the_same() -> None:
    """Which a blob does not write where it equals the number of events: 2.0, not 2."""
    store, events = MemoryStore(), [paid(1, NOON - 2_000, 2.0, "FR"), paid(2, NOON - 1_900, 2.0, "FR")]
    store.publish(batch_writes(PLAN, {"transactions": events}, NOON))
    values = READER.read(store, REQUEST, AT_MS).values
    assert [repr(values[f"before_{name}_4s"]) for name in ("least", "most", "n", "total")] == [
        "2.0",
        "2.0",
        "2.0",
        "4.0",
    ]


def test_a_window_holds_whole_tiles_of_both_layers() -> None:
    """Behind its begin, up to the one at hand; a delay moves both."""

    def found(span: Span, at_ms: int) -> list[list[int]]:
        return [list(columns.starts[i:j]) for columns, i, j in segments_of(span, tiles, {"t": own}, at_ms)]

    own = TileColumns([9], [1], [])
    batch, speed = (TileColumns(starts, [1] * len(starts), []) for starts in ([0, 2, 4, 6], [8, 10, 12]))
    tiles = SpecTiles(batch, speed)
    assert found(Span("t", 6, 0, 2, False), 9) == [[4, 6], [8]]
    assert found(Span("t", 6, 0, 2, True), 13) == [[8, 10, 12], [9]]
    assert found(Span("t", 4, 3, 2, False), 9) == [[2, 4]]
    assert found(Span("t", 4, 0, 2, False), 99) == []
    assert list(segments_of(Span("t", 4, 0, 2, True), None, {"t": own}, 9)) == [(own, 0, 1)]

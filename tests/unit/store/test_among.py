"""Features of one who asks with each of many items are those that each row has alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.errors import DefinitionError, StoreUnavailable
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.store.among import AmongReader
from lamina.store.memory import MemoryStore
from lamina.store.protocol import ReadKey, Snapshot
from lamina.store.reader import Reader
from lamina.store.staleness import batch_watermark
from lamina.store.table import ItemTable
from tests.parity import activity
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate

AT_MS = START_MS + 11 * DAY_MS + DAY_MS // 2
ACTIVITY = load("activity")
CASES = [
    (load("fraud"), "merchant", "merchant_id"),
    (ACTIVITY, "item", "item_id"),
    (EVERYTHING, "merchant", "merchant_id"),
]


class Filled:
    """A store with some days of generated events, and requests of one who asks, each with another item."""

    def __init__(self, features: FeatureSet, entity: str, key: str, through_day: int) -> None:
        self.plan = make_plan(features)
        generated = (activity.generate if features is ACTIVITY else generate)(5)
        self.arrived = {name: [e for e in rows if at(e) < AT_MS] for name, rows in generated.arrived.items()}
        through = START_MS + through_day * DAY_MS
        self.store, self.reader = MemoryStore(), Reader(self.plan)
        self.store.publish(batch_writes(self.plan, self.arrived, through))
        self.complete(through)
        self.store.write_tiles(speed_writes(self.plan.speed, self.arrived, 0))
        rows = self.arrived[features.request.name]
        ids = sorted({str(row[key]) for row in rows})
        self.asked = {**rows[-1], "timestamp": AT_MS, features.request.id: "asked"}
        self.fields: list[Mapping[str, object]] = [{key: id_} for id_ in (*ids, "never-seen", ids[0])]
        self.table = ItemTable({key}, lambda: self.reader, self.store, self.store, lambda: AT_MS)

    def complete(self, batch_end_ms: int) -> None:
        """Say that the batch layer is complete up to then."""
        features = self.plan.features
        for entity in features.entities:
            self.store.advance_watermark(batch_watermark(features.system, entity), batch_end_ms)

    @property
    def rows(self) -> list[EventRow]:
        return [{**self.asked, **each} for each in self.fields]


def at(event: Mapping[str, object]) -> int:
    return int(str(event.get("timestamp", event.get("transaction_timestamp"))))


@pytest.mark.parametrize(("features", "entity", "key"), CASES)
@pytest.mark.parametrize("through_day", [0, 10])
def test_each_candidate_has_the_features_that_its_row_has_alone(
    features: FeatureSet, entity: str, key: str, through_day: int
) -> None:
    filled = Filled(features, entity, key, through_day)
    items = filled.table.refresh()
    among = items.reader
    keys = among.keys(filled.asked, AT_MS)
    assert [k.entity for k in keys] == [e.name for e in features.entities if e.key != key]
    asker = among.asker(filled.store.read(keys), filled.asked, AT_MS)
    found = among.candidates(asker, items.held, filled.fields)
    alone = [filled.reader.read(filled.store, row, AT_MS) for row in filled.rows]
    # The last and the first are one item, which is asked for twice.
    for got, wanted in zip(found.vectors(range(len(found))), alone, strict=True):
        assert not differences(wanted.values, got.values)
        assert replace(got, values=wanted.values) == wanted
    columns = found.columns(features.names)
    for name in features.names:
        for place, each in enumerate(columns[name].tolist()):
            value = None if isinstance(each, float) and np.isnan(each) else each
            assert not differences({name: alone[place].values[name]}, {name: value}), (name, place)
    assert alone[-2].unknown >= {entity}


def test_some_features_are_made_without_the_others() -> None:
    filled = Filled(ACTIVITY, "item", "item_id", 10)
    items = filled.table.refresh()
    asker = items.reader.asker(filled.store.read(items.reader.keys(filled.asked, AT_MS)), filled.asked, AT_MS)
    found = items.reader.candidates(asker, items.held, filled.fields)
    asked = ("item_events_per_user_7d", "time_since_last_purchase", "hour_of_day")
    assert tuple(found.columns(asked)) == asked
    assert found.vectors([]) == []


def test_nobody_asked_about_is_no_error() -> None:
    filled = Filled(ACTIVITY, "item", "item_id", 10)
    items = filled.table.refresh()
    asker = items.reader.asker(filled.store.read(items.reader.keys(filled.asked, AT_MS)), filled.asked, AT_MS)
    found = items.reader.candidates(asker, items.held, [])
    assert len(found) == 0
    assert found.columns(("item_events_1h", "hour_of_day"))["item_events_1h"].tolist() == []


def test_an_entity_that_there_is_not_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"no feature is about \['film_id'\].*item_id, user_id"):
        AmongReader(Reader(make_plan(ACTIVITY)), {"film_id"})


class Failing(MemoryStore):
    fails = False

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        if self.fails:
            raise StoreUnavailable("away")
        return super().read(keys)


def test_what_happens_is_there_after_the_next_look_and_what_was_there_stays_where_it_fails() -> None:
    now = [AT_MS]
    plan, store = make_plan(ACTIVITY), Failing()
    reader = Reader(plan)
    table = ItemTable({"item_id"}, lambda: reader, store, store, lambda: now[0])
    assert table.age_s() == float("inf")
    assert len(table.refresh().of("item")) == 0
    viewed = {**activity.generate(5).user_events[0], "event_type": "page_view", "item_id": "i-1", "timestamp": AT_MS}
    store.write_tiles(speed_writes(plan.speed, {"user_events": [viewed]}, 0))
    before = table.items
    assert before is not None
    assert dict(before.of("item").places) == {}
    now[0] += 5000
    store.fails = True
    with pytest.raises(StoreUnavailable):
        table.refresh()
    assert table.items is before
    assert table.age_s() == 5
    store.fails = False
    assert dict(table.refresh().of("item").places) == {"i-1": 0}
    assert table.age_s() == 0


def test_after_a_change_of_the_features_what_is_held_is_of_the_others_until_it_is_read_anew() -> None:
    filled = Filled(ACTIVITY, "item", "item_id", 10)
    readers = [filled.reader]
    table = ItemTable({"item_id"}, lambda: readers[0], filled.store, filled.store, lambda: AT_MS)
    before = table.refresh()
    assert before.reader is table.among()
    readers[0] = Reader(make_plan(ACTIVITY))
    assert table.among() is not before.reader
    assert table.refresh().reader is table.among()


def test_what_a_candidate_brings_beside_its_id_is_its_own() -> None:
    filled = Filled(load("fraud"), "merchant", "merchant_id", 10)
    filled.fields = [{**each, "amount": float(n), "currency": f"C{n}"} for n, each in enumerate(filled.fields)]
    items = filled.table.refresh()
    asker = items.reader.asker(filled.store.read(items.reader.keys(filled.asked, AT_MS)), filled.asked, AT_MS)
    found = items.reader.candidates(asker, items.held, filled.fields).columns(("amount",))
    assert found["amount"].tolist() == [float(n) for n in range(len(filled.fields))]


def test_what_a_candidate_brings_is_crossed_with_who_asks() -> None:
    """Each candidate has a country of its own, one of them none, and one that nothing is chosen by."""
    filled = Filled(EVERYTHING, "merchant", "merchant_id", 10)
    countries = ["FR", "BE", "DE", "NL", None, ""]
    own = [{"country": country, "amount": 2.0} for country in countries]
    filled.fields = [{**each, **more} for each in filled.fields for more in own]
    items = filled.table.refresh()
    asker = items.reader.asker(filled.store.read(items.reader.keys(filled.asked, AT_MS)), filled.asked, AT_MS)
    found = items.reader.candidates(asker, items.held, filled.fields)
    alone = [filled.reader.read(filled.store, row, AT_MS).values for row in filled.rows]
    crossed = [made.name for made in EVERYTHING.made]
    # Made by themselves, without the features that they are made from.
    columns = found.columns(crossed)
    assert tuple(columns) == tuple(crossed)
    assert {column.dtype for column in columns.values()} == {np.dtype(np.float64)}
    logged = found.vectors(range(len(found)))
    for place, wanted in enumerate(alone):
        values = {name: None if np.isnan(column[place]) else column[place] for name, column in columns.items()}
        assert not differences({name: wanted[name] for name in crossed}, values)
        assert not differences(wanted, logged[place].values)
    counted = dict(zip(countries, columns["country_count"].tolist(), strict=False))
    assert counted["FR"] > 0
    assert [counted[country] for country in ("BE", "NL", None, "")] == [-1.0] * 4
    assert len(set(columns["met_lately"].tolist())) == 2


def test_an_item_is_as_stale_as_it_was_when_it_was_read() -> None:
    filled = Filled(ACTIVITY, "item", "item_id", 1)
    filled.table.refresh()
    filled.complete(START_MS + 11 * DAY_MS)

    def stale() -> frozenset[str]:
        items = filled.table.items
        assert items is not None
        asker = items.reader.asker(filled.store.read(items.reader.keys(filled.asked, AT_MS)), filled.asked, AT_MS)
        return items.reader.candidates(asker, items.held, filled.fields).vectors([0])[0].stale

    assert stale() == {"item_traffic"}
    filled.table.refresh()
    assert stale() == frozenset()

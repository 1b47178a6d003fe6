"""What every simulated world must do: a system's test subclasses `WorldContract` and says how to make its world."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from lamina.catalog import CONTRACTS
from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions import load
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.protocol import World, WorldError
from lamina.worlds.wire import event_bytes


class WorldContract(ABC):
    system: str

    @abstractmethod
    def make(self, seed: int = 3) -> World:
        """A small world of at least four days."""

    def test_a_day_holds_every_topic_that_features_read(self) -> None:
        assert set(self.make().day(0)) >= {view.source.topic for view in load(self.system).views}

    def test_a_day_depends_on_the_seed_and_its_number_only(self) -> None:
        forward, backward = self.make(), self.make()
        days = [forward.day(n) for n in range(forward.days)]
        for n in reversed(range(forward.days)):
            assert backward.day(n) == days[n]
            assert backward.truth(n).equals(forward.truth(n))
        assert self.make(seed=4).day(2) != days[2]

    def test_days_are_whole_sorted_and_of_the_lakes_columns(self) -> None:
        world = self.make()
        for n in range(world.days):
            begin_ms = midnight_ms(world.date_of(n))
            for topic, table in world.day(n).items():
                table.validate(full=True)
                assert table.schema.equals(SCHEMAS[topic]), topic
                times = table["timestamp"].to_numpy()
                assert (np.diff(times) >= 0).all()
                assert ((times >= begin_ms) & (times < begin_ms + DAY_MS)).all()

    def test_every_row_keeps_the_contract_of_its_topic(self) -> None:
        world = self.make()
        for topic, table in world.day(world.days - 1).items():
            assert table.num_rows, topic
            for raw in event_bytes(table.slice(0, 1000)):
                assert CONTRACTS[topic].from_json(raw).to_json() == raw

    def test_the_truth_is_about_events_of_the_day(self) -> None:
        world = self.make()
        for n in range(world.days):
            truth = world.truth(n)
            assert truth.num_columns == 2
            ids, events = truth.column_names[0], world.day(n).values()
            own = {i for table in events if ids in table.column_names for i in table[ids].to_pylist()}
            assert set(truth[ids].to_pylist()) <= own

    def test_a_day_outside_the_world_is_refused(self) -> None:
        world = self.make()
        for n in (-1, world.days):
            with pytest.raises(WorldError, match=f"days 0 to {world.days - 1}"):
                world.day(n)

"""Sketches: exact while rows are few, within their stated error after that, the same again from their bytes."""

from __future__ import annotations

import numpy as np

from lamina.monitoring.drift.sketches import (
    LONGEST_TEXT,
    RANKS,
    NumberSketch,
    Sketch,
    TextSketch,
    distributions,
    sketch_columns,
)


def test_few_numbers_are_kept_as_they_are() -> None:
    sketch = NumberSketch()
    values = np.random.default_rng(1).normal(0, 1, RANKS)
    sketch.update(values)
    found = sketch.distribution()
    assert found.error == 0 and found.values.tolist() == sorted(values) and found.count == RANKS


def test_many_numbers_are_kept_within_the_stated_error_and_memory() -> None:
    sketch = NumberSketch()
    values = np.random.default_rng(2).normal(0, 1, 500_000)
    for batch in np.array_split(values, 7):
        sketch.update(batch)
    found = sketch.distribution()
    at = np.linspace(-3, 3, 200)
    exact = np.searchsorted(np.sort(values), at, side="right") / len(values)
    assert 0 < np.abs(found.share_at_most(at) - exact).max() <= found.error < 0.001
    assert len(found.values) < 4 * RANKS and found.count == len(values)


def test_missing_numbers_are_counted_and_infinities_are_values() -> None:
    sketch = NumberSketch()
    sketch.update(np.array([np.nan, np.inf, -np.inf, 0.0, np.nan]))
    found = sketch.distribution()
    assert (found.missing, found.values.tolist()) == (2, [-np.inf, 0.0, np.inf])


def test_no_numbers_are_an_answer_too() -> None:
    found = NumberSketch().distribution()
    assert (found.count, found.missing, found.error) == (0, 0, 0.0)
    assert np.isnan(found.share_at_most(np.array([1.0]))).all()


def test_texts_are_counted_with_the_missing_ones_beside() -> None:
    sketch = TextSketch()
    sketch.update(np.array(["b", None, "a", "b", "c" * 500, float("nan")], object))
    found = sketch.distribution()
    assert dict(found.counts) == {"a": 1, "b": 2, "c" * LONGEST_TEXT: 1}
    assert (found.missing, found.others, found.error) == (2, 0, 0.0)


def test_of_too_many_texts_the_frequent_ones_are_kept() -> None:
    sketch = TextSketch()
    sketch.update(np.array([f"once-{i}" for i in range(50_000)] + ["often"] * 50_000, object))
    found = sketch.distribution()
    assert found.count == 100_000 and 0 < found.error < 0.01
    assert abs(found.counts["often"] - 50_000) <= found.error * found.count


def test_a_sketch_comes_back_from_its_bytes() -> None:
    columns = {"n": np.array([1.0, np.nan, 3.0]), "t": np.array(["x", None, "x"], object)}
    sketches: dict[str, Sketch] = sketch_columns(columns)
    again = {name: type(sketch).from_bytes(sketch.to_bytes(), sketch.missing) for name, sketch in sketches.items()}
    for name, before in distributions(sketches).items():
        assert repr(distributions(again)[name]) == repr(before)


def test_batches_go_into_the_same_sketches() -> None:
    sketches: dict[str, Sketch] = {}
    for _ in range(3):
        sketch_columns({"n": np.ones(2)}, sketches)
    assert sketches["n"].distribution().count == 6

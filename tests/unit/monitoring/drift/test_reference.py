"""What a version keeps of its training comes back from its file, and says how uneven its days were."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lamina.monitoring.drift.reference import SCORES, Reference, load_reference, make_reference
from lamina.monitoring.drift.sketch_files import SketchFileError
from lamina.monitoring.drift.sketches import NumberSketch

RNG = np.random.default_rng(9)


def made(positive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Reference:
    """Ten days of a hundred rows, of which the last three are tested on; the last of all is shifted by one."""
    day = np.repeat(np.arange(10), 100)
    amount = RNG.normal(0, 1, 1_000) + (day == 9)
    kind = np.array(["web", None], object)[(RNG.random(1_000) < 0.5).astype(int)]
    test = day >= 7
    return make_reference(
        {"amount": amount[~test], "kind": kind[~test]},
        day=day,
        positive=positive,
        weight=np.ones(1_000),
        test_features={"amount": amount[test], "kind": kind[test]},
        test_day=day[test],
        test_score=positive[test] + RNG.random(300),
        test_positive=positive[test],
        test_unit=np.arange(300),
    )


def test_a_reference_comes_back_from_its_text() -> None:
    before = made(RNG.random(1_000) < 0.2)
    after = load_reference(before.dump(), "reference.json")
    assert (after.days, after.ranking, after.sway) == (before.days, before.ranking, before.sway)
    assert after.dump() == before.dump()
    assert after.features["amount"].distribution().count == 700
    assert after.scores.distribution().count == 300


def test_a_file_of_another_version_says_so() -> None:
    text = json.loads(made(RNG.random(1_000) < 0.2).dump())
    with pytest.raises(SketchFileError, match="format 2, this version reads 1"):
        load_reference(json.dumps(text | {"format": 2}), "reference.json")
    with pytest.raises(SketchFileError, match="no reference"):
        load_reference(json.dumps(text | {"about": {}}), "reference.json")
    with pytest.raises(SketchFileError, match="no sketches"):
        load_reference("{", "reference.json")
    text["columns"]["amount"]["sketch"] = "AAAA"
    with pytest.raises(SketchFileError, match="no sketches"):
        load_reference(json.dumps(text), "reference.json")


def test_sway_is_that_of_the_test_days() -> None:
    found = made(RNG.random(1_000) < 0.2).sway
    assert found["amount"].values == pytest.approx(0.38, abs=0.1)
    assert found["kind"].missing < 0.2
    assert 0 < found[SCORES].values < 0.3 and found[SCORES].missing == 0


def test_positives_in_series_vary_more_than_those_on_their_own() -> None:
    alone = made(RNG.random(1_000) < 0.2)
    together = made(np.repeat(RNG.random(100) < 0.2, 10))
    assert alone.positive_share == pytest.approx(0.2, abs=0.05) and 1 <= alone.dispersion < 3
    assert together.dispersion > 3
    nothing = Reference({}, NumberSketch(), (), None)
    assert (nothing.positive_share, nothing.dispersion, nothing.rows) == (0.0, 1.0, 0.0)


def test_labels_of_one_kind_leave_no_ranking() -> None:
    found = made(np.zeros(1_000, bool))
    assert found.ranking is None and found.dispersion == 1.0
    assert load_reference(found.dump(), "reference.json").ranking is None

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.small_model import train_small_model
from lamina.errors import BadScore, ModelUnavailable
from lamina.scoring.checked import scores_of
from lamina.scoring.load import load
from lamina.scoring.network import COMPILED_FILE, NetworkScorer
from lamina.scoring.protocol import SCORE, SPEC_FILE
from lamina.scoring.trees import TreesScorer as Trees
from tests.small_network import NAMES, expected, write_small_network


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_small_network(tmp_path / "network")


def change(folder: Path, **changes: object) -> None:
    spec = json.loads((folder / SPEC_FILE).read_text())
    (folder / SPEC_FILE).write_text(json.dumps(spec | changes))


def test_trees_and_networks_have_one_face(network: Path, tmp_path: Path) -> None:
    trees, net = load(train_small_model(tmp_path / "trees")), load(network)
    assert isinstance(trees, Trees) and isinstance(net, NetworkScorer)
    assert (trees.system, net.system, net.names) == ("fraud", "activity", NAMES)
    for scorer in (trees, net):
        assert np.isfinite(scorer.predict_batch([{}, {}])[SCORE]).all()
        assert isinstance(scorer.explain({}), list)


def test_a_row_a_batch_and_columns_agree(network: Path) -> None:
    scorer = load(network)
    rows = [{"session_page_views": float(i), "item_events_1h": None if i == 3 else 2.0} for i in range(5)]
    one_by_one = [scorer.predict(row) for row in rows]
    assert one_by_one == pytest.approx([expected(i, 0 if i == 3 else 2) for i in range(5)])
    assert scorer.predict_batch(rows)[SCORE] == pytest.approx(one_by_one)
    columns = {
        "session_page_views": np.arange(5.0),
        "item_events_1h": np.array([2, 2, 2, np.nan, 2]),
    }
    assert scorer.predict_columns(columns, 5)[SCORE] == pytest.approx(one_by_one)
    assert scorer.predict_batch([])[SCORE].tolist() == []


def test_several_outputs_have_names_and_the_first_is_the_score(tmp_path: Path) -> None:
    scorer = load(write_small_network(tmp_path, outputs=("bought", "returned")))
    rows = [{"session_page_views": float(i), "item_events_1h": 1.0} for i in range(3)]
    assert scorer.outputs == ("bought", "returned")
    found = scorer.predict_batch(rows)
    assert found["bought"].tolist() == [scorer.predict(row) for row in rows] == list(scores_of(scorer, rows))
    odds = found["bought"] / (1 - found["bought"])
    assert found["returned"] == pytest.approx(odds**2 / (1 + odds**2), abs=1e-6)
    columns = {"session_page_views": np.arange(3.0), "item_events_1h": np.ones(3)}
    assert scorer.predict_columns(columns, 3)["returned"].tolist() == found["returned"].tolist()
    assert {name: len(values) for name, values in scorer.predict_batch([]).items()} == {"bought": 0, "returned": 0}


def test_one_output_is_not_written_down_for_versions_that_know_of_one(network: Path, tmp_path: Path) -> None:
    assert "outputs" not in json.loads((network / SPEC_FILE).read_text())
    several = write_small_network(tmp_path / "several", outputs=("bought", "returned"))
    assert json.loads((several / SPEC_FILE).read_text())["outputs"] == ["bought", "returned"]


def test_a_network_gives_as_many_numbers_as_it_says(tmp_path: Path) -> None:
    scorer = load(write_small_network(tmp_path, outputs=("bought", "returned"), heads=3))
    with pytest.raises(BadScore, match="gave 3 numbers for 1 rows: it is to give 2 a row"):
        scorer.predict({})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"system": "weather"}, "no system 'weather'; there are activity, fraud"),
        ({"system": None}, "no system None"),
        ({"outputs": []}, "outputs: .*at least 1"),
        ({"outputs": ["a", "a"]}, "used twice: a, a"),
        ({"colour": "red"}, r"colour.*export the network again"),
        ({"inputs": [{"name": "heat", "meaning": "?"}]}, "heat no longer defined"),
        ({"inputs": [{"name": "item_events_1h", "meaning": "something else"}]}, "item_events_1h changed"),
    ],
)
def test_what_cannot_be_loaded_is_named(network: Path, changes: dict[str, object], says: str) -> None:
    change(network, **changes)
    with pytest.raises(ModelUnavailable, match=says):
        load(network)


def test_a_kind_that_its_system_has_nothing_to_load_by_is_named(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "models.activity.score", None)
    change(network, kind="forest")
    with pytest.raises(ModelUnavailable, match=r"needs models\.activity\.score"):
        load(network)


def test_broken_files_are_named(network: Path, tmp_path: Path) -> None:
    (network / COMPILED_FILE).write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match=r"network\.onnx cannot be read"):
        load(network)
    (network / SPEC_FILE).write_text("[]")
    with pytest.raises(ModelUnavailable, match="train it anew"):
        load(network)
    with pytest.raises(ModelUnavailable, match=r"holds no spec\.json"):
        load(tmp_path)


def test_a_network_of_several_numbers_a_row_is_no_model(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.scoring.compiled import Compiled

    monkeypatch.setattr(Compiled, "run", lambda self, matrix: np.zeros((len(matrix), 2), np.float32))
    scorer = load(network)
    for ask in (lambda: scorer.predict({}), lambda: scorer.predict_batch([{}, {}])):
        with pytest.raises(BadScore, match="it is to give one a row"):
            ask()

from __future__ import annotations

import pytest

from lamina.registry.protocol import MODEL_FOLDER
from lamina.scoring.load import load
from lamina.scoring.protocol import SCORE
from tests.networks import HEADS, NAMES, ROWS, SEVERAL, Networks


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_exported_scores_as_torch_does(networks: Networks, seed: int) -> None:
    scorer = load(networks.folder / str(seed) / MODEL_FOLDER)
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in ROWS]
    expected = [networks.score(seed, row) for row in rows]
    assert scorer.predict_batch(rows)[SCORE] == pytest.approx(expected, abs=1e-6)
    assert scorer.predict(rows[-1]) == pytest.approx(expected[-1], abs=1e-6)
    assert max(expected) - min(expected) > 0.1


def test_several_outputs_are_exported_by_their_names(networks: Networks) -> None:
    scorer = load(networks.folder / SEVERAL)
    found = scorer.predict_batch([dict(zip(NAMES, map(float, row), strict=True)) for row in ROWS])
    assert tuple(found) == HEADS
    for name, expected in zip(HEADS, networks.heads, strict=True):
        assert found[name] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("network", "says"), [("four inputs", "of 3 inputs"), ("two scores", "one score a row")])
def test_a_network_that_does_not_fit_is_refused(networks: Networks, network: str, says: str) -> None:
    assert says in networks.refused[network]
    assert not (networks.folder / network).exists()

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.tokens import NONE, Tokens, bucket_of
from lamina.training import torch_process
from lamina.training.retrieval.protocol import BadSetting
from lamina.training.retrieval.towers.data import PAIRS, NoExamples, read_examples, write_examples
from lamina.training.retrieval.towers.method import TrainTowers
from lamina.training.retrieval.towers.settings import TowerSettings
from lamina.training.torch_process import TrainingFailed

SEEN = Interactions.of(["u", "u", "u", "v", "u"], ["a", "b", "c", "b", "a"], time_s=[1, 2, 3, 4, 5])


def test_what_is_written_in_shards_is_read(tmp_path: Path) -> None:
    settings = TowerSettings(longest=2, buckets=50)
    words = Tokens.of([("u", ["age=1", "plan=x"])])
    write_examples(SEEN, tmp_path / "e", settings, words, NONE, rows_a_shard=3)
    assert len(list((tmp_path / "e" / PAIRS).iterdir())) == 2
    found = read_examples(tmp_path / "e")
    assert sorted(zip(found.user.tolist(), found.item.tolist(), strict=True)) == [(0, 0), (0, 1), (0, 2), (1, 1)]
    assert (found.users, found.items) == (["u", "v"], ["a", "b", "c"])
    assert found.histories.tolist() == [[1, 3], [2, 0]]  # a came again last; b of u is older than two
    assert found.user_words.tolist() == [[bucket_of("age=1", 50) + 1, bucket_of("plan=x", 50) + 1], [0, 0]]
    assert found.item_words.tolist() == [[0], [0], [0]]
    assert TowerSettings.read(tmp_path / "e") == settings


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoExamples):
        write_examples(SEEN.take(np.empty(0, np.int64)), tmp_path / "e", TowerSettings(), NONE, NONE)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (TowerSettings(batch=0), "batch of the towers is 0"),
        (TowerSettings(forgotten=1.0), "forgotten below 1"),
        (TowerSettings(decay=-1.0), "decay"),
        (TowerSettings(correction="both"), "'both'"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_their_range_are_refused(settings: TowerSettings, what: str) -> None:
    with pytest.raises(BadSetting, match=what):
        TrainTowers(settings).fit(SEEN)


def test_without_torch_it_says_what_to_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_process, "ENVIRONMENT", tmp_path)
    with pytest.raises(TrainingFailed, match="make networks"):
        TrainTowers().fit(SEEN)

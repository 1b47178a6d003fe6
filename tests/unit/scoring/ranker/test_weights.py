from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import ModelUnavailable
from lamina.scoring.ranker.weights import WEIGHTS_FILE, BadWeights, HeadWeights, read_weights


def test_what_is_written_is_read(tmp_path: Path) -> None:
    given = HeadWeights(7, {"watched_s": 0.6, "click": 0.3, "like": 0})
    assert given.write(tmp_path) == tmp_path / WEIGHTS_FILE
    assert read_weights(tmp_path / WEIGHTS_FILE) == given
    assert (tmp_path / WEIGHTS_FILE).read_text().startswith("version: 7\nweights:\n  watched_s: 0.6\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\nweights: {click: -0.1, like: 1}", r"weight of head 'click' is -0.1: it is to be a number from 0"),
        ("version: 1\nweights: {click: .nan}", "weight of head 'click' is nan"),
        ("version: 1\nweights: {click: .inf}", "weight of head 'click' is inf"),
        ("version: 1\nweights: {click: yes}", "weight of head 'click' is True"),
        ("version: 1\nweights: {click: much}", "weight of head 'click' is 'much'"),
        ("version: 1\nweights: {click: 0, like: 0.0}", "all weights of heads are 0"),
        ("version: 1\nweights: {}", "no weights of heads"),
        ("version: 1\nweights: [click]", "no weights of heads"),
        ("version: 1\nweights: {click: 1, click: 2}", "key 'click' is given twice"),
        ("version: 0\nweights: {click: 1}", "version 0 of the heads' weights"),
        ("version: yes\nweights: {click: 1}", "version True"),
        ("version: 1.5\nweights: {click: 1}", "version 1.5"),
        ("weights: {click: 1}", "is to hold `version` and `weights`"),
        ("version: 1\nweights: {click: 1}\nnote: x", "nothing else"),
        ("", "is to hold"),
    ],
)
def test_weights_that_make_no_score_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / WEIGHTS_FILE
    path.write_text(text)
    with pytest.raises(BadWeights, match=says) as refused:
        read_weights(path)
    assert str(path) in str(refused.value) and isinstance(refused.value, ModelUnavailable)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=WEIGHTS_FILE):
        read_weights(tmp_path / WEIGHTS_FILE)

"""Names are checked where they are given: what ends in SQL, in keys of Redis, in topics or in paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from lamina.contracts.features import Entity
from lamina.definitions.fraud import FEATURES, TRANSACTIONS, USER, USER_SPEND
from lamina.errors import DefinitionError
from lamina.experiments.experiment import Arm
from lamina.experiments.file import ExperimentError, load_experiments
from lamina.rules.kinds import ListedCard
from lamina.settings import load_settings

ODD = ["o'hara", "a b", "user:1", "a/../b", "", "1st", "a\n", "*", "a;b", 'a"b', "a`b", "ü"]


@pytest.mark.parametrize("name", ODD)
def test_names_of_a_definition(name: str) -> None:
    aggregate = USER_SPEND.aggregates[0]
    for changes in (
        {"name": name},
        {"entity": Entity(name, USER.key)},
        {"source": replace(TRANSACTIONS, name=name)},
        {"aggregates": (replace(aggregate, name=name),)},
        {"source": replace(TRANSACTIONS, columns={**TRANSACTIONS.columns, name: "string"})},
    ):
        with pytest.raises(DefinitionError):
            replace(USER_SPEND, **changes)
    with pytest.raises(DefinitionError):
        replace(FEATURES, system=name)
    with pytest.raises(DefinitionError):
        replace(FEATURES, ratios=(replace(FEATURES.ratios[0], name=name), *FEATURES.ratios[1:]))


@pytest.mark.parametrize("topic", ["a b", "a/b", "", "a.b", "*"])
def test_topics(topic: str) -> None:
    with pytest.raises(DefinitionError, match="topic"):
        replace(USER_SPEND, source=replace(TRANSACTIONS, topic=topic))


@pytest.mark.parametrize("prefix", ["a b", "a/b", "a*", "ü", "a\n", "x" * 65])
def test_a_prefix_of_topics(prefix: str) -> None:
    with pytest.raises(ValidationError, match="topic_prefix"):
        load_settings(topic_prefix=prefix)
    assert load_settings(topic_prefix="test-1.").topic_prefix == "test-1."


@pytest.mark.parametrize("model", ["../../x", "a/b", "", ".", "..", "a b", "a'b", "*", "x" * 65])
def test_models_of_arms_name_a_folder(model: str) -> None:
    with pytest.raises(ValidationError, match="model"):
        Arm(name="new", model=model, weight=1)
    assert [Arm(name="new", model=each, weight=1).model for each in ("champion", "12", "v1.2")]


def test_names_in_an_experiment_file(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    for text in ('version: "1\\n2"\n', 'version: ""\n'):
        file.write_text(text)
        with pytest.raises(ExperimentError, match="version"):
            load_experiments(file, ())


@pytest.mark.parametrize("file", ["../cards.txt", "/etc/passwd", "a/b.txt", "", ".", "..", "a\n", "~root"])
def test_lists_lie_beside_the_rules(file: str) -> None:
    with pytest.raises(ValidationError, match="file"):
        ListedCard(code="c", action="reject", kind="listed_card", file=file)
    assert ListedCard(code="c", action="reject", kind="listed_card", file="lost cards-2.txt").file

"""Who gets which arm, and which files are refused with which words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lamina.experiments.experiment import Condition, Experiment
from lamina.experiments.file import ExperimentError, load_experiments
from lamina.settings import Settings

FIELDS = ("country", "amount")
ARMS = "[{name: old, model: champion, weight: 90}, {name: new, model: challenger, weight: 10}]"
USERS = [f"user-{i}" for i in range(5000)]


def written(folder: Path, text: str = "", *, arms: str = ARMS, control: str = "old", version: str = '"1"') -> Path:
    file = folder / "experiment.yaml"
    file.write_text(
        f"version: {version}\nexperiment:\n  name: trees\n  salt: s\n  control: {control}\n  arms: {arms}\n{text}"
    )
    return file


def experiment(folder: Path, **changes: str) -> Experiment:
    found = load_experiments(written(folder, **changes), FIELDS).experiment
    assert found is not None
    return found


def arms_of(found: Experiment) -> dict[str, str]:
    assigned = {user: found.assign(user, {}) for user in USERS}
    return {user: each.arm.name for user, each in assigned.items() if each is not None}


def test_shares_follow_the_weights_and_stick(tmp_path: Path) -> None:
    before = arms_of(experiment(tmp_path))
    assert before == arms_of(experiment(tmp_path))
    # 10 % of 5,000, within 5 standard deviations
    assert abs(Counter(before.values())["new"] - 500) < 106
    after = arms_of(experiment(tmp_path, arms=ARMS.replace("90", "80").replace("10}", "20}")))
    moved = {user for user in USERS if before[user] != after[user]}
    assert {before[user] for user in moved} == {"old"}, "only users of the shrinking arm move"
    assert abs(len(moved) - 500) < 106


def test_an_arm_without_weight_has_nobody(tmp_path: Path) -> None:
    assert set(arms_of(experiment(tmp_path, arms=ARMS.replace("90", "0"))).values()) == {"new"}


@pytest.mark.parametrize(
    ("condition", "row", "holds"),
    [
        (Condition(field="country", one_of=("PT", "ES")), {"country": "ES"}, True),
        (Condition(field="country", one_of=("PT", "ES")), {"country": "FR"}, False),
        (Condition(field="country", one_of=("PT",)), {}, False),
        (Condition(field="amount", at_least=10, below=20), {"amount": 10}, True),
        (Condition(field="amount", at_least=10, below=20), {"amount": 20.0}, False),
        (Condition(field="amount", at_least=10), {"amount": 9.99}, False),
        (Condition(field="amount", below=20), {"amount": None}, False),
    ],
)
def test_conditions(condition: Condition, row: dict[str, object], holds: bool) -> None:
    assert condition.holds(row) is holds


def test_only_those_targeted_take_part(tmp_path: Path) -> None:
    file = written(tmp_path, "  targeting: [{field: country, one_of: [PT]}, {field: amount, below: 50}]\n")
    found = load_experiments(file, FIELDS).experiment
    assert found is not None
    assert found.assign("u", {"country": "PT", "amount": 49.0}) is not None
    assert found.assign("u", {"country": "PT", "amount": 50.0}) is None
    assert found.assign("u", {"country": "ES", "amount": 49.0}) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control": "nobody"}, ["control 'nobody'", "old, new"]),
        ({"arms": ARMS.replace("new", "old")}, ["named twice: old"]),
        ({"arms": "[{name: old, model: champion, weight: 1}]"}, ["experiment.arms", "at least 2"]),
        ({"arms": ARMS.replace("90", "0").replace("10}", "0}")}, ["no arm has a weight"]),
        ({"arms": ARMS.replace("10}", "-1}")}, ["experiment.arms.1.weight"]),
        ({"arms": ARMS.replace("10}", "0.0001}")}, ["'new' is too light"]),
        ({"arms": ARMS.replace("model", "modle")}, ["experiment.arms.0.modle", "Extra inputs"]),
        ({"text": "  mode: dark\n"}, ["experiment.mode", "'live' or 'shadow'"]),
        ({"text": "  targeting: [{field: colour, one_of: [red]}]\n"}, ["no field colour", "amount, country"]),
        ({"text": "  targeting: [{field: country}]\n"}, ["experiment.targeting.0", "give either"]),
        ({"text": "  guardrails: {max_error_share: 2}\n"}, ["experiment.guardrails.max_error_share"]),
        ({"version": "7"}, ["version", "valid string"]),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ExperimentError) as error:
        load_experiments(written(tmp_path, **changes), FIELDS)
    assert str(tmp_path) in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_and_broken_yaml(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"absent\.yaml"):
        load_experiments(tmp_path / "absent.yaml", FIELDS)
    (tmp_path / "e.yaml").write_text("version: [")
    with pytest.raises(ExperimentError, match=r"e\.yaml"):
        load_experiments(tmp_path / "e.yaml", FIELDS)


def test_the_shipped_file_runs_none_and_its_example_is_right(tmp_path: Path) -> None:
    shipped = Settings().experiment_file
    assert load_experiments(shipped, FIELDS).experiment is None
    example = [line[4:] for line in shipped.read_text().splitlines() if line.startswith("#   ")]
    file = tmp_path / "experiment.yaml"
    file.write_text("\n".join([*example, 'version: "2"', ""]))
    found = load_experiments(file, FIELDS).experiment
    assert found is not None and [arm.name for arm in found.arms] == ["champion", "challenger"]

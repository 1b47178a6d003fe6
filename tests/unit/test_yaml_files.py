"""One loader for every YAML file: rules, mappings, experiments and keys refuse what another would take the last of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import LaminaError, StackError
from lamina.experiments.file import load_experiments
from lamina.ingest.mapping import SHIPPED, load_mapping
from lamina.rules.book import load_rules
from lamina.scoring.ranker.weights import read_weights
from lamina.settings import ROOT
from lamina.yaml_files import read_yaml
from serving.middleware.keys import load_keys

READERS: list[Callable[[Path], Any]] = [
    load_rules,
    read_weights,
    lambda path: load_experiments(path, ()),
    lambda path: load_mapping(str(path)),
    load_keys,
    lambda path: read_yaml(path, StackError),
]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version: '1'\nname: a\nversion: '2'\n", "line 3, column 1: key 'version' is given twice, first in line 1"),
        ("a:\n  - {b: 1, c: 2, b: 3}\n", "line 2, column 18: key 'b' is given twice, first in line 2"),
        ("1: a\n1: b\n", "line 2, column 1: key 1 is given twice"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_place(
    tmp_path: Path, read: Callable[[Path], Any], text: str, place: str
) -> None:
    with pytest.raises(LaminaError) as raised:
        read(written(tmp_path, text))
    assert f"file.yaml, {place}" in str(raised.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line 1"),
        ("salt: *hunter2\n", "line 1, column 7"),
        ("salt: !hunter2 x\n", "line 1, column 7"),
        ("salt: `hunter2\n", "line 1, column 7"),
        (b"a: caf\xe9\n", "byte 7 is not UTF-8"),
        ("at: 2018-13-45\n", "is not YAML"),
        ("a: " + "[" * 2000, "is not YAML"),
    ],
)
def test_what_is_no_yaml_is_an_error_of_ours_that_repeats_no_text(
    tmp_path: Path, read: Callable[[Path], Any], text: str | bytes, words: str
) -> None:
    with pytest.raises(LaminaError) as raised:
        read(written(tmp_path, text))
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"absent\.yaml: No such file"):
        read_yaml(tmp_path / "absent.yaml", StackError)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "\ufeffa: {b: 1, c: 1}\nb: {b: 1}\n"), StackError) == {
        "a": {"b": 1, "c": 1},
        "b": {"b": 1},
    }
    merged = "base: &base {a: 1, b: 1}\nmine: {<<: *base, a: 2}\n"
    assert read_yaml(written(tmp_path, merged), StackError)["mine"] == {"a": 2, "b": 1}
    assert read_yaml(written(tmp_path, "# nothing\n"), StackError) is None


def test_no_other_loader_is_used() -> None:
    for folder in ("lamina", "serving", "jobs", "models"):
        for file in (ROOT / folder).rglob("*.py"):
            # The second reads what the first has let through, as the texts that stand there.
            if file.name not in ("yaml_files.py", "quoting.py"):
                assert not {"safe_load", "yaml.load", "full_load"} & set(file.read_text().replace("(", " ").split()), (
                    file
                )


def test_shipped_files_give_no_key_twice() -> None:
    for path in [*SHIPPED.glob("*.yaml"), *(ROOT / "serving" / "systems").rglob("*.yaml"), ROOT / "docker-compose.yml"]:
        read_yaml(path, StackError)


def test_a_word_that_yaml_reads_as_a_truth_value_is_to_be_quoted(tmp_path: Path) -> None:
    arms = "arms: [{name: old, model: champion, weight: 9}, {name: new, model: challenger, weight: 1}]"
    targets = "targeting: [{field: country, one_of: [NO]}]"
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(f'version: "1"\nexperiment: {{name: a, salt: b, control: old, {arms}, {targets}}}\n')
    with pytest.raises(LaminaError, match=r"one_of.0: .*YAML reads this one as a truth value: quote it"):
        load_experiments(experiment, {"country"})
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 3\nrules: []\nrisk: [{reject: 0.9, review: 0.5}]\n")
    with pytest.raises(LaminaError, match=r"version: .*as a number: quote it"):
        load_rules(rules)
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys: [{name: 2018-08-08, sha256: no}]\n")
    with pytest.raises(LaminaError, match=r"name: .*as a date: quote it.*sha256: .*as a truth value: quote it"):
        load_keys(keys)


@pytest.mark.parametrize("word", ["yes", "on", "true", "no"])
def test_a_truth_value_is_no_number(tmp_path: Path, word: str) -> None:
    """pydantic takes them for 1 and 0: a distance of one kilometre, a threshold that nothing reaches."""
    rule = f"{{code: far, kind: impossible_velocity, action: review, max_km: {word}, within_minutes: 9}}"
    with pytest.raises(LaminaError, match=r"rules.far.max_km: .*truth value, which is no number"):
        load_rules(written(tmp_path, f'version: "1"\nrules: [{rule}]\nrisk: [{{reject: 0.9, review: 0.5}}]\n'))
    with pytest.raises(LaminaError, match=r"risk.0.reject: .*truth value"):
        load_rules(written(tmp_path, f'version: "1"\nrules: []\nrisk: [{{reject: {word}, review: 0.5}}]\n'))
    with pytest.raises(LaminaError, match=r"costs.friction: .*truth value"):
        costs = f"costs: {{friction: {word}, review: 1}}"
        load_rules(written(tmp_path, f'version: "1"\nrules: []\nrisk: [{{reject: 0.9, review: 0.5}}]\n{costs}\n'))
    arms = f"arms: [{{name: a, model: champion, weight: {word}}}, {{name: b, model: b, weight: 1}}]"
    with pytest.raises(LaminaError, match=r"weight: .*truth value"):
        load_experiments(written(tmp_path, f'version: "1"\nexperiment: {{name: a, salt: b, control: a, {arms}}}\n'), ())
    with pytest.raises(LaminaError, match=r"per_second: .*truth value"):
        key = f"{{name: a, sha256: {'a' * 64}, scopes: [decide], per_second: {word}}}"
        load_keys(written(tmp_path, f"keys: [{key}]\n"))
    with pytest.raises(LaminaError, match=r"amount.divisor: .*truth value"):
        load_mapping(str(written(tmp_path, f"amount: {{column: a, divisor: {word}}}\n")))


@pytest.mark.parametrize("read", [load_rules, lambda path: load_experiments(path, ()), load_keys])
def test_a_file_without_keys_is_told_so(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(LaminaError, match="file: must be keys with values: the file is empty"):
        read(written(tmp_path, ""))
    with pytest.raises(LaminaError, match=r"file: must be keys with values$"):
        read(written(tmp_path, "- a\n"))

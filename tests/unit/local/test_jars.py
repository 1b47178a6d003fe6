from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.local import jars


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jars, "JARS", tmp_path)
    folder = tmp_path / "flink"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"1234")
    manifest = {"modules": [list(module) for module in jars.SETS["flink"].modules], "files": {"a.jar": 4}}
    (folder / jars.MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_a_complete_set_is_given(fetched: Path) -> None:
    assert jars.flink_connector() == [fetched / "a.jar"]


def test_a_jar_cut_short_is_noticed(fetched: Path) -> None:
    (fetched / "a.jar").write_bytes(b"12")
    with pytest.raises(StackError, match=r"a\.jar is missing or cut short.*make jars"):
        jars.flink_connector()


def test_a_set_of_another_version_is_noticed(fetched: Path) -> None:
    (fetched / jars.MANIFEST).write_text(json.dumps({"modules": [["o", "m", "0"]], "files": {}}))
    assert jars.missing("flink") == "of another version"


def test_a_set_never_fetched_says_so(fetched: Path) -> None:
    with pytest.raises(StackError, match="not fetched"):
        jars.kafka_broker()


@pytest.mark.parametrize("name", jars.SETS)
def test_the_module_file_is_well_formed(name: str) -> None:
    root = ET.fromstring(jars._module_file(name))
    assert len(root.findall("dependencies/dependency")) == len(jars.SETS[name].modules)

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.local import jars


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jars, "JARS", tmp_path)
    sums = tmp_path / "jars.sha256"
    sums.write_text(f"{hashlib.sha256(b'1234').hexdigest()}  flink/a.jar\n")
    monkeypatch.setattr(jars, "SUMS", sums)
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


def test_a_jar_of_the_same_size_and_another_content_is_refused(fetched: Path) -> None:
    (fetched / "a.jar").write_bytes(b"1235")
    with pytest.raises(StackError, match=r"a\.jar is not the one that jars\.sha256 names.*make jars"):
        jars.flink_connector()


def test_a_jar_that_somebody_put_beside_is_refused(fetched: Path) -> None:
    (fetched / "b.jar").write_bytes(b"1234")
    with pytest.raises(StackError, match=r"b\.jar is not the one"):
        jars.flink_connector()


def repository(folder: Path, content: str) -> Path:
    """A Maven repository of one's own with the Flink connector, and Ivy settings that name it."""
    (organisation, module, revision), *_ = jars.SETS["flink"].modules
    place = folder / "m2" / organisation.replace(".", "/") / module / revision
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place / f"{module}-{revision}.jar", "w") as archive:
        archive.writestr(zipfile.ZipInfo("content"), content)
    (place / f"{module}-{revision}.pom").write_text(
        f"<project><modelVersion>4.0.0</modelVersion><groupId>{organisation}</groupId>"
        f"<artifactId>{module}</artifactId><version>{revision}</version></project>"
    )
    settings = folder / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="own"/><resolvers>'
        f'<ibiblio name="own" m2compatible="true" root="{(folder / "m2").as_uri()}" checksums=""/>'
        "</resolvers></ivysettings>"
    )
    return settings


def test_another_content_from_the_repository_is_refused_and_the_old_one_stays(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real Ivy: what a repository was made to give is fetched whole, and is still not the pinned file."""
    monkeypatch.setattr(jars, "IVY_CACHE", tmp_path / "ivy")
    monkeypatch.setenv("IVY_SETTINGS", str(repository(tmp_path, "as it was")))
    jars.fetch("flink", pinned=False)
    jars.write_sums()
    jars.fetch("flink")
    (jar,) = jars.flink_connector()
    before = jar.read_bytes()
    monkeypatch.setattr(jars, "IVY_CACHE", tmp_path / "ivy2")
    repository(tmp_path, "not as it was")
    with pytest.raises(StackError, match=r"not what jars\.sha256 names: flink-sql-connector-kafka.*Nothing was kept"):
        jars.fetch("flink")
    assert jars.flink_connector() == [jar]
    assert jar.read_bytes() == before


def test_an_optional_set_is_fetched_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(jars, "missing", lambda name: "not fetched")
    monkeypatch.setattr(jars, "fetch", lambda name, *, pinned: fetched.append(name))
    assert jars.main() == 0 and fetched == [name for name, wanted in jars.SETS.items() if not wanted.optional]
    fetched.clear()
    assert jars.main("opensearch") == 0 and fetched == ["opensearch"]
    with pytest.raises(StackError, match="run `make opensearch`"):
        jars.require("opensearch")


def test_an_archive_of_jars_is_unpacked_and_a_broken_one_is_gone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plugin.zip", "w") as packed:
        packed.writestr("lib/a.jar", "of the plugin")
        packed.writestr("plugin-descriptor.properties", "x=1")
    (tmp_path / "broken.zip").write_bytes(b"PK")
    for archive in sorted(tmp_path.glob("*.zip")):
        jars._unpack_jars(archive)
    assert [file.name for file in tmp_path.iterdir()] == ["a.jar"]
    assert (tmp_path / "a.jar").read_text() == "of the plugin"


def test_every_set_is_pinned() -> None:
    """And the file is what `sha256sum --check` reads: the images check the jars by it."""
    lines = jars.SUMS.read_text().splitlines()
    pinned = re.compile(rf"[0-9a-f]{{64}}  ({'|'.join(jars.SETS)})/[A-Za-z0-9._-]+\.jar")
    assert all(pinned.fullmatch(line) for line in lines)
    for name, wanted in jars.SETS.items():
        for _, module, revision in wanted.modules:
            assert any(line.endswith(f"  {name}/{module}-{revision}.jar") for line in lines), module


def test_a_wrong_jar_ends_the_command_with_its_sentence(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lamina.local import jars\n"
        "def gone(name, **_): raise jars.StackError('fetched, but not what jars.sha256 names')\n"
        f"jars.JARS = Path({str(tmp_path)!r}); jars.fetch = gone; sys.exit(jars.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "fetched, but not what jars.sha256 names\n")

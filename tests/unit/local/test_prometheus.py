"""Where Prometheus comes from: the path, Debian's packages, or nowhere, which is said in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.local.prometheus import HERE, NAMES, TEMPLATES, fetch, find


def program(folder: Path, name: str, text: str = "exit 0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose path holds what a test puts into the folder, and the shell's own tools beside."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "mkdir", "chmod", "touch"):
        (tools / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}{tools}")
    return tmp_path / "path"


def test_programs_on_the_path_are_taken_by_any_of_their_names(alone: Path, tmp_path: Path) -> None:
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
        program(alone, name)
    found = fetch(tmp_path / "fetched")
    assert (found.alertmanager.name, found.home) == ("prometheus-alertmanager", None)
    assert not (tmp_path / "fetched").exists()


def test_half_of_them_on_the_path_are_none(alone: Path, tmp_path: Path) -> None:
    program(alone, "prometheus")
    assert find(tmp_path / "fetched") is None


def test_without_apt_there_is_a_sentence(alone: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="install prometheus and alertmanager"):
        fetch(tmp_path / "fetched")


PACKAGE = """
for each in "$@"; do case "$each" in download) touch prometheus.deb prometheus-alertmanager.deb;; esac; done
"""
UNPACK = f"""
root="$3"; mkdir -p "$root/usr/bin" "$root{TEMPLATES.decode()}"
for name in prometheus promtool prometheus-alertmanager amtool; do
  printf 'reads {TEMPLATES.decode()}/default.tmpl' > "$root/usr/bin/$name"
  chmod 755 "$root/usr/bin/$name"
done
printf template > "$root{TEMPLATES.decode()}/default.tmpl"
"""


def test_packages_are_unpacked_once_and_alertmanager_reads_its_templates_from_there(
    alone: Path, tmp_path: Path
) -> None:
    program(alone, "apt-get", PACKAGE)
    program(alone, "dpkg", UNPACK)
    folder = tmp_path / ".tools" / "prometheus"
    found = fetch(folder)
    assert (found.promtool, found.home) == (folder / "promtool", folder)
    assert (folder / "default.tmpl").read_text() == "template"
    assert (folder / "alertmanager").read_bytes() == b"reads " + HERE + b"/default.tmpl"
    assert (folder / "prometheus").read_text() == f"reads {TEMPLATES.decode()}/default.tmpl"
    assert {each.name for each in folder.iterdir()} == {*NAMES, "default.tmpl"}
    assert [each.name for each in folder.parent.iterdir()] == ["prometheus"], "nothing of the work is left"
    program(alone, "apt-get", "exit 1")
    assert fetch(folder) == found


def test_the_copy_s_path_is_as_long_as_the_one_that_it_takes_the_place_of() -> None:
    assert len(HERE) == len(TEMPLATES)
    assert Path(HERE.decode()) == Path(".")


def test_what_apt_says_is_told(alone: Path, tmp_path: Path) -> None:
    program(alone, "apt-get", "echo 'E: no network' >&2; exit 100")
    program(alone, "dpkg")
    with pytest.raises(StackError, match="E: no network"):
        fetch(tmp_path / ".tools" / "prometheus")


def test_lists_of_packages_are_fetched_where_the_machine_has_none(alone: Path, tmp_path: Path) -> None:
    once = f"""
for each in "$@"; do case "$each" in
  update) touch {tmp_path}/updated;;
  download) [ -e {tmp_path}/updated ] || exit 100;;
esac; done
{PACKAGE}
"""
    program(alone, "apt-get", once)
    program(alone, "dpkg", UNPACK)
    assert fetch(tmp_path / ".tools" / "prometheus").amtool.exists()
    assert (tmp_path / "updated").exists()

"""Prometheus and Alertmanager: those on the path, or Debian's packages, unpacked into `.tools/prometheus`.

`python -m lamina.local.prometheus` (`make prometheus`) fetches what is missing, without root and without a service.
Afterwards nothing needs a network. apt-get checks the packages' signatures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import LaminaError, StackError
from lamina.settings import ROOT

FOLDER = ROOT / ".tools" / "prometheus"
PACKAGES = ("prometheus", "prometheus-alertmanager")
NAMES: Mapping[str, tuple[str, ...]] = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "amtool": ("amtool",),
}
"""What each program may be called: Debian has a name of its own for one."""
TEMPLATES = b"/usr/share/prometheus/alertmanager"
HERE = b"./" * (len(TEMPLATES) // 2)
"""Debian's Alertmanager reads its templates from a folder that only root can make. In the copy this is the folder in
which it is started, written as long."""
FETCH_S = 120.0


@dataclass(frozen=True)
class Programs:
    """Where the programs are. `home`: the folder in which Alertmanager is started, None where any will do."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path
    home: Path | None = None


def find(folder: Path = FOLDER) -> Programs | None:
    """The programs on the path, else those in `folder`; None where some are in neither."""
    for path, home in ((os.environ.get("PATH", os.defpath), None), (str(folder), folder)):
        found = {name: _on(path, spellings) for name, spellings in NAMES.items()}
        if all(found.values()):
            return Programs(home=home, **{name: Path(str(file)) for name, file in found.items()})
    return None


def _on(path: str, spellings: tuple[str, ...]) -> str | None:
    return next((found for each in spellings if (found := shutil.which(each, path=path))), None)


def fetch(folder: Path = FOLDER) -> Programs:
    """The programs, fetched into `folder` where they are not there yet.

    Raises: StackError: there is no apt-get here, or it cannot have them.
    """
    if (there := find(folder)) is not None:
        return there
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise StackError(
            "Prometheus is not on the path, and without apt-get it cannot be fetched: install prometheus and "
            "alertmanager"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="prometheus-") as made:
        work = Path(made)
        packages = _download(work)
        for package in packages:
            _run(["dpkg", "-x", str(package), str(work / "root")], work)
        ready = work / "ready"
        ready.mkdir()
        for name, spellings in NAMES.items():
            source = next(file for each in reversed(spellings) if (file := work / "root/usr/bin" / each).exists())
            shutil.copy(source, ready / name)
        program = ready / "alertmanager"
        program.write_bytes(program.read_bytes().replace(TEMPLATES, HERE))
        for template in (work / "root" / TEMPLATES.decode().lstrip("/")).glob("*.tmpl"):
            shutil.copy(template, ready)
        try:
            ready.rename(folder)
        except OSError:
            # Another process was faster, or half of an older one lies there.
            shutil.copytree(ready, folder, dirs_exist_ok=True)
    found = find(folder)
    if found is None:
        raise StackError(f"Debian's packages of Prometheus lack a program: look into {folder}, and remove it")
    return found


def _download(work: Path) -> list[Path]:
    quick = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20", "-o", "APT::Sandbox::User="]
    try:
        _run(["apt-get", *quick, "download", *PACKAGES], work)
    except StackError:
        # Lists of its own, where the machine has none or old ones: those of the machine are root's to renew.
        own = [*quick]
        for kind in ("lists", "cache"):
            (work / kind / "partial").mkdir(parents=True)
        own += ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        _run(["apt-get", *own, "update"], work)
        _run(["apt-get", *own, "download", *PACKAGES], work)
    return sorted(work.glob("*.deb"))


def _run(command: list[str], work: Path) -> None:
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, timeout=FETCH_S)
    except subprocess.TimeoutExpired:
        raise StackError(f"{command[0]} did not end within {FETCH_S:.0f} s: is there a network?") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise StackError(f"Prometheus cannot be fetched from Debian ({last}): install prometheus and alertmanager")


def main() -> None:
    """Fetch what is missing and say where it is."""
    try:
        found = fetch()
    except LaminaError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    sys.stdout.write(f"{found.prometheus}\n{found.alertmanager}\n")


if __name__ == "__main__":
    main()

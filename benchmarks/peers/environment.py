"""The environment of the peers: theirs alone, made by the first benchmark that runs one, never by `make env`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lamina.settings import ROOT

FOLDER = ROOT / ".venv-peers"


def peers_python() -> Path:
    """The interpreter that has the peers of `requirements/peers.txt`, installed if they are not."""
    subprocess.run(["make", "--silent", "--directory", str(ROOT), f"{FOLDER.name}/.stamp"], check=True)
    return FOLDER / "bin" / "python"

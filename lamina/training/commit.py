"""Which code a model was made by."""

from __future__ import annotations

import subprocess

from lamina.settings import ROOT


def commit() -> str:
    """The commit of the checkout, with `-dirty` when files differ from it; `unknown` outside one."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

"""Trainings that need torch: in the environment that has it, in processes of their own, with folders between."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from lamina.errors import LaminaError
from lamina.settings import ROOT

ENVIRONMENT = ROOT / ".venv-networks"
LINES = 20
"""Of what the training said that an error shows."""


class TrainingFailed(LaminaError):
    """A process that trains ended without what it was to make."""


def here() -> bool:
    """Whether there is an environment with torch."""
    return (ENVIRONMENT / "bin" / "torchrun").exists()


def run(command: Sequence[str], what: str) -> None:
    """Run `command`, which trains `what`, on one thread unless OMP_NUM_THREADS says more.

    Raises: TrainingFailed: there is no environment with torch, or the training failed: with what it said last.
    """
    if not here():
        raise TrainingFailed(f"{ENVIRONMENT} holds no torch: make networks")
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-LINES:])
        raise TrainingFailed(f"the training of {what} ended with {done.returncode}; the last it said:\n{said}")

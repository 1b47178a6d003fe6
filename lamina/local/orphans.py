"""Processes of a stack that nobody supervises any more, found by a variable in their environment and by nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

# Only the stack sets this one, for its children. LAMINA_STACK_DIR would not do: a user may export it in a shell.
MARKER = "LAMINA_STACK_CHILD"
TERM_WAIT_S = 10.0
KILL_WAIT_S = 5.0


def marked(wanted: Callable[[str], bool]) -> Iterator[psutil.Process]:
    """Live processes whose marker satisfies `wanted`, except this process and those it descends from."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            value = process.environ().get(MARKER)
            if value is not None and wanted(value) and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            # Gone meanwhile, or another user's: then it is not ours.
            continue


def of_stack(stack_dir: Path) -> list[psutil.Process]:
    """The processes of the stack in `stack_dir`, supervised or not."""
    return list(marked(str(stack_dir).__eq__))


def end(processes: list[psutil.Process]) -> list[int]:
    """End `processes`, politely first; returns their pids."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=TERM_WAIT_S)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=KILL_WAIT_S)
    return [process.pid for process in processes]


def sweep(stack_dir: Path) -> list[int]:
    """End all that is left of the stack in `stack_dir`; returns the pids. Children may appear meanwhile: looks twice."""
    ended = end(of_stack(stack_dir))
    return ended + (end(of_stack(stack_dir)) if ended else [])

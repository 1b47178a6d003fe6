"""Processes of a stack that nobody supervises any more, found by a variable in their environment and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

# Only the stack sets this one, for its children. LAMINA_STACK_DIR would not do: a user may export it in a shell.
MARKER = "LAMINA_STACK_CHILD"
TERM_WAIT_S = 10.0
KILL_WAIT_S = 5.0


def marker(stack_dir: Path) -> dict[str, str]:
    """Variables by which the processes of a stack can be found.

    SPT_NOENV keeps the library setproctitle, which Airflow uses, from writing titles over the environment.
    """
    return {MARKER: str(stack_dir), "SPT_NOENV": "1"}


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


def _with_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The processes and all below them, each once: a child may have dropped the marker from its environment."""
    found = {process.pid: process for process in processes}
    for process in processes:
        try:
            found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            continue
    return list(found.values())


def end(marked_ones: list[psutil.Process]) -> list[int]:
    """End processes and their children, politely first; returns the pids."""
    processes = _with_children(marked_ones)
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
    """End all that is left of the stack in `stack_dir`; returns the pids. Looks twice: children may appear."""
    ended = end(of_stack(stack_dir))
    return ended + (end(of_stack(stack_dir)) if ended else [])

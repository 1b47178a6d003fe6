from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lamina.local import orphans

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def _child(**env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(SLEEP, env={**os.environ, **env})


def test_exactly_the_processes_of_one_stack_are_ended(tmp_path: Path) -> None:
    mine = _child(**{orphans.MARKER: str(tmp_path)})
    another = _child(**{orphans.MARKER: str(tmp_path) + "-2"})
    shell = _child(LAMINA_STACK_DIR=str(tmp_path))
    try:
        assert orphans.sweep(tmp_path) == [mine.pid]
        mine.wait(5)
        assert another.poll() is None
        assert shell.poll() is None
    finally:
        for process in (mine, another, shell):
            process.kill()
            process.wait()


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "TERM_WAIT_S", 0.5)
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); time.sleep(60)"
    )
    env = {**os.environ, orphans.MARKER: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        orphans.sweep(tmp_path)
        assert not psutil.pid_exists(stubborn.pid)


def test_this_process_and_its_parents_are_spared(tmp_path: Path) -> None:
    seen = {process.pid for process in orphans.marked(lambda _: True)}
    assert not seen & {os.getpid(), *(p.pid for p in psutil.Process().parents())}

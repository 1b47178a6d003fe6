"""The suite in several processes (pytest-xdist): who gets which tests, and what each of them has for itself."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from lamina.local import ports

SERVERS = "servers"
ONE_SESSION = {"contract": SERVERS, "integration": SERVERS, "e2e": "e2e", "parity": "parity"}
"""Folders whose tests share a session's servers, by what they share: one process runs them all, so that nothing is
started twice. `e2e` and `parity` go beside: a demo has a stack of its own, engines have one Spark."""


def scope(nodeid: str) -> str:
    """The tests that stay together: those of one file, or of all files that share servers.

    >>> scope("tests/integration/test_dags.py::test_a"), scope("tests/unit/lake/test_write.py::TestIt::test_b[0]")
    ('servers', 'tests/unit/lake/test_write.py')
    """
    file = nodeid.partition("::")[0]
    return ONE_SESSION.get(PurePosixPath(file).parts[1], file)


class ByServers(LoadScopeScheduling):  # type: ignore[misc]
    """Scopes in the order of collection: folders that start servers come first, files of unit tests fill the rest.

    `--dist loadgroup` would do, but under pytest 9.2 it groups nothing (pytest-xdist issue 1386).
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, ninety quick ones would go before a demo

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


class Begun:
    """Says when a file that starts servers begins: dots alone do not show what takes long."""

    def __init__(self, plugins: pytest.PytestPluginManager) -> None:
        self._plugins, self._began, self._seen = plugins, time.monotonic(), set[str]()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Once a file."""
        file = nodeid.partition("::")[0]
        if file not in self._seen and scope(nodeid) != file:
            self._seen.add(file)
            reporter = self._plugins.getplugin("terminalreporter")
            assert isinstance(reporter, pytest.TerminalReporter)
            reporter.write_line(f"{time.monotonic() - self._began:6.0f} s  {file}")


def settle_in(worker: str) -> None:
    """What process `gw0`, `gw1` and so on has to have as if it were alone.

    Its main module is a line read from a pipe, without a name, by which pyspark believes that it runs its own
    doctests, and ends it. Two that look for a free port at once may find the same.
    """
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("pytest.__main__")
    share, number = (ports.HIGHEST - ports.LOWEST) // SHARES, int(worker.removeprefix("gw")) % SHARES
    ports.LOWEST += share * number
    ports.HIGHEST = ports.LOWEST + share - 1


SHARES = 8
"""Parts of the range of ports; a process has one."""

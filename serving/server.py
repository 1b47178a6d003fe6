"""The server around the application: a SIGTERM turns readiness off first, and only later the door."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

log = logging.getLogger(__name__)

INTERPRETER_S = 2.0
"""What the interpreter has to end in once everything of ours has: it waits for threads of others without a limit."""


class PatientServer(uvicorn.Server):
    """Serves for `grace_s` seconds more after SIGTERM, in which `leaving` has been called and nothing else changed.

    A balancer needs that long to see that the process is not ready; a door that closes at once fails the requests that
    it still sends. A second signal, or SIGINT from somebody at a terminal, ends the grace.
    """

    def __init__(self, config: uvicorn.Config, *, leaving: Callable[[], None], grace_s: float) -> None:
        super().__init__(config)
        self._leaving, self._grace_s = leaving, grace_s
        self._leave_at_s: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        first = self._leave_at_s is None
        self._leaving()
        if first and sig == signal.SIGTERM and self.started and self._grace_s:
            self._leave_at_s = time.monotonic() + self._grace_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        if self._leave_at_s is not None and time.monotonic() >= self._leave_at_s:
            super().handle_exit(signal.SIGTERM, None)
            self._leave_at_s = float("inf")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in flight, let the application end, and then the process, whatever hangs in a thread."""
        await super().shutdown(sockets)
        end = threading.Timer(INTERPRETER_S, _end)
        end.daemon = True
        end.start()


def _end() -> None:
    log.warning("a thread does not end: the process does, as everything is delivered or written down")
    os._exit(0)

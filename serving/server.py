"""The server around the application: whom it waits for, and that a SIGTERM turns readiness off before the door."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 65_536
INTERPRETER_S = 2.0
"""What the interpreter has to end in once everything of ours has: it waits for threads of others without a limit."""


class TimelyProtocol(HttpToolsProtocol):
    """HTTP on one connection, which is closed when nothing comes, or not the headers of a request, for `arrival_s`.

    uvicorn itself waits for ever for the first request of a connection, and for headers that come byte by byte.
    """

    arrival_s: float
    _due: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, arrival_s: float) -> type[TimelyProtocol]:
        """The protocol with that time, in seconds."""
        return type(cls.__name__, (cls,), {"arrival_s": arrival_s})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """The headers are there; the body is another's to wait for."""
        self._wait_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._wait_no_more()
        self._due = self.loop.call_later(self.arrival_s, self._too_late)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # The answer to the request before is still to go.
            self._wait()
        else:
            self.transport.close()


def raise_limit_of_descriptors() -> None:
    """Let the process have as many open files and connections as it is allowed to: the usual limit is for shells."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MOST_DESCRIPTORS)), hard))


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

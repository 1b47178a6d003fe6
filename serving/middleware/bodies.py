"""Bodies arrive before anything else of a request costs anybody something. Hot path.

A client that sends slowly, or not at all, keeps its own connection and nothing more: whatever is limited by number is
taken once the body is there.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamina.monitoring import metrics
from serving.middleware.errors import RETRY_AFTER_S, problem

CONTENT_LENGTH, TRANSFER_ENCODING = b"content-length", b"transfer-encoding"


@dataclass(frozen=True)
class _Refused(Exception):
    status: int
    error: str
    retry_after_s: int | None = None


class Bodies:
    """Hands on requests whose body is whole: 413 to one longer than `max_bytes`, 408 to one that takes too long.

    Args: timeout_s: from the headers to the last byte; arriving_bytes: held of bodies that are under way, of all
    clients together; what comes on top is answered 503.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_s: float, arriving_bytes: int) -> None:
        self._app, self._max, self._timeout_s, self._most = app, max_bytes, timeout_s, arriving_bytes
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not (length := self._announced(scope)):
            await self._app(scope, receive, send)
            return
        try:
            if length > self._max:
                raise _Refused(413, "too_large")
            body = await self._in_time(receive)
        except _Refused as refused:
            await _answer(refused, scope, receive, send)
            return
        except TimeoutError:
            metrics.BODIES_TOO_SLOW.inc()
            await _answer(_Refused(408, "body_too_slow"), scope, receive, send)
            return
        if body is None:
            return
        if "state" in scope:
            # Ours to answer from here on: what the client took to send it is not our time.
            scope["state"]["started_ns"] = time.perf_counter_ns()
        await self._app(scope, replayed(body, receive), send)

    async def _in_time(self, receive: Receive) -> bytes | None:
        """As `_read`; TimeoutError when it takes too long. `asyncio.timeout` would double what this class costs."""
        task = asyncio.current_task()
        assert task is not None, "within a loop"
        late = False

        def expire() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = asyncio.get_running_loop().call_later(self._timeout_s, expire)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if late and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    def _announced(self, scope: Scope) -> int:
        """Bytes that will come; 1 where the client leaves it open, 0 where none will."""
        for name, value in scope["headers"]:
            if name == CONTENT_LENGTH and value.isdigit():
                return int(value)
            if name == TRANSFER_ENCODING:
                return 1
        return 0

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None when the client went away."""
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            # Nearly always: it came with its headers.
            whole: bytes = message.get("body", b"")
            if len(whole) > self._max:
                raise _Refused(413, "too_large")
            return whole
        mine, parts = 0, list[bytes]()
        try:
            while True:
                if message["type"] != "http.request":
                    return None
                part = message.get("body", b"")
                parts.append(part)
                mine += len(part)
                self.held += len(part)
                if mine > self._max:
                    raise _Refused(413, "too_large")
                if self.held > self._most:
                    metrics.REQUESTS_SHED.inc()
                    raise _Refused(503, "overloaded", RETRY_AFTER_S)
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
        finally:
            self.held -= mine


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives what was read once more, then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received


async def _answer(refused: _Refused, scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(refused.status, refused.error, retry_after_s=refused.retry_after_s)
    if refused.status == 408:
        # Others are sending still, and would lose the answer: what they send is thrown away as it comes.
        answer.headers["Connection"] = "close"
    await answer(scope, receive, send)

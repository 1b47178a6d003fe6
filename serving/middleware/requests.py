"""What every request passes: its id and arrival time, and a log line when it fails."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamina.contracts.problems import API_VERSION_HEADER, API_VERSIONS
from serving.masking import REQUEST_ID, TOKENS
from serving.middleware.errors import problem, unexpected

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = b"x-request-id"
VERSION_HEADER = API_VERSION_HEADER.lower().encode()
VERSIONS = tuple(version.encode() for version in API_VERSIONS)
"""Versions of the API that are spoken here, the newest last: what a client asks for, so that paths stay as they are."""
# Who is refused for coming too often, or for sending nothing, would be refused the more slowly for a line each.
COUNTED_ONLY = (408, 429, 503)
# Shorter than an identifier may be: a batch appends the place of each transaction.
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:\-]{1,100}")


class Leaving:
    """Whether the process is about to end; true for ever after `begin`, which a signal handler may call."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> None:
        """Say that it is."""
        self._begun = True

    def __bool__(self) -> bool:
        return self._begun


class RequestContext:
    """Gives a request its id (the header `X-Request-ID`, when it can be one) and answers what nothing else answered.

    Successful requests leave no line: at hundreds a second the metrics tell more, and a path may hold anything. Once
    the process is `leaving`, each answer closes its connection, so that clients find another before this one is gone.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str], leaving: Leaving) -> None:
        self._app, self._new_id, self._leaving = app, new_id, leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_ns = time.perf_counter_ns()
        request_id, version = self._told(scope)
        state = scope.setdefault("state", {})
        state["request_id"], state["started_ns"] = request_id, started_ns
        REQUEST_ID.set(request_id)
        TOKENS.set(())
        own = ((REQUEST_ID_HEADER, request_id.encode()), (VERSION_HEADER, VERSIONS[-1]))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *own]
                if self._leaving:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if version is None or version in VERSIONS:
                await self._app(scope, receive, send_with_id)
            else:
                await _unknown_version()(scope, receive, send_with_id)
        except Exception as error:
            if status:
                raise
            await unexpected(error)(scope, receive, send_with_id)
        if status >= 400 and status not in COUNTED_ONLY:
            # The route's template, not the path: who mistakes the address may have put anything into it.
            route = getattr(scope.get("route"), "path", "(no route)")
            taken_ms = (time.perf_counter_ns() - started_ns) / 1e6
            log.info("%s %s answered %d in %.1f ms", scope["method"], route, status, taken_ms)

    def _told(self, scope: Scope) -> tuple[str, bytes | None]:
        """The request's id, and the version of the API that it asks for, if any."""
        request_id = version = None
        for name, value in scope["headers"]:
            if name == VERSION_HEADER:
                version = value
            elif name == REQUEST_ID_HEADER and request_id is None:
                given = value.decode("latin-1")
                if _ACCEPTED_ID.fullmatch(given):
                    request_id = str(given)
        return request_id or self._new_id(), version


def _unknown_version() -> Response:
    spoken = ", ".join(API_VERSIONS)
    detail = {"field": API_VERSION_HEADER, "message": f"is not spoken here: ask for {spoken}, or leave the header out"}
    return problem(400, "unknown_version", [detail])

"""A bounded number of requests at work: what comes on top is told at once to come again. Hot path."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from lamina.monitoring import metrics
from serving.middleware.errors import RETRY_AFTER_S, problem

# Operators must be answered when everybody else is not.
UNBOUNDED = ("/health", "/metrics", "/admin")
_UNDER = tuple(f"{path}/" for path in UNBOUNDED)


class Admission:
    """Answers 503 with `Retry-After` to requests beyond `max_in_flight`; their bodies have arrived (`Bodies`).

    A request that waits behind so many others would be answered too late to be of use, and would make all later ones
    late as well.
    """

    def __init__(self, app: ASGIApp, max_in_flight: int) -> None:
        self._app, self._max = app, max_in_flight
        self.in_flight = 0
        metrics.IN_FLIGHT.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] in UNBOUNDED or scope["path"].startswith(_UNDER):
            await self._app(scope, receive, send)
            return
        if self.in_flight >= self._max:
            metrics.REQUESTS_SHED.inc()
            await problem(503, "overloaded", retry_after_s=RETRY_AFTER_S)(scope, receive, send)
            return
        self.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.in_flight -= 1

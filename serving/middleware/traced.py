"""A span for every request, from its arrival to its answer; only where traces are collected."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.stages.trace import TRACE, RequestTrace

PROPAGATOR = TraceContextTextMapPropagator()
HEADERS = (b"traceparent", b"tracestate")
UNTRACED = ("/health/", "/metrics", "/docs")
"""Asked for again and again by machines, about nothing that anybody follows."""


class Traced:
    """Begins a trace for each request, which links to the one that its client names (`traceparent`).

    Where clients are trusted it goes on with theirs: who names a trace decides then whether the request is traced, so
    that one client could have all of its own traced, whatever share is wanted.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer, *, trusted: bool) -> None:
        self._app, self._tracer, self._trusted = app, tracer, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        carried = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in HEADERS}
        attributes = {"http.request.method": scope["method"]}
        named = PROPAGATOR.extract(carried)
        theirs = get_current_span(named).get_span_context()
        span = self._tracer.start_span(
            "request",
            named if self._trusted else Context(),
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=[Link(theirs)] if theirs.is_valid and not self._trusted else None,
        )

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    span.set_status(Status(StatusCode.ERROR))
            await send(message)

        token = TRACE.set(RequestTrace(self._tracer, span))
        try:
            await self._app(scope, receive, send_told)
        finally:
            TRACE.reset(token)
            span.end()

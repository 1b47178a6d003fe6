"""A span for every request, from its arrival to its answer; only where traces are collected."""

from __future__ import annotations

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.stages.trace import TRACE, RequestTrace

PROPAGATOR = TraceContextTextMapPropagator()
HEADERS = (b"traceparent", b"tracestate")
UNTRACED = ("/health/", "/metrics", "/docs")
"""Asked for again and again by machines, about nothing that anybody follows."""


class Traced:
    """Goes on with the trace that a client sends (`traceparent`), or begins one."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        carried = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in HEADERS}
        attributes = {"http.request.method": scope["method"]}
        span = self._tracer.start_span(
            "request", PROPAGATOR.extract(carried), kind=SpanKind.SERVER, attributes=attributes
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

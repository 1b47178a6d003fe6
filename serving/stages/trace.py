"""The trace of one request: what its events carry to Kafka, and the spans of its answer. Off unless it was asked for.

Where nobody traces, a request costs one look at `TRACE`. Where somebody does, a request has a span from its arrival to
its answer; its events carry the span's `traceparent` as a header; the answer has a span of its own with one for each
stage, and a link to the trace in which the sink tells that the request's tiles are stored.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from lamina.contracts.served import MODEL, Served
from lamina.monitoring.tracing import NS_PER_MS, tile_context
from serving.stages.budget import LOG

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


class RequestTrace:
    """A request that is traced. `header` is what its events carry."""

    __slots__ = ("_span", "_tracer", "header")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        context = span.get_span_context()
        flags = int(context.trace_flags)
        self.header = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}".encode()
        self._tracer, self._span = tracer, span

    def answered(self, served: Served, source: str, log_ms: float, now_ns: int) -> None:
        """Tell how an answer was made, whose events took `log_ms` to log.

        Args: source: that of the system's requests, by which their tiles are named; now_ns: since the epoch.
        """
        from opentelemetry.trace import Link, set_span_in_context

        stages = {**served.stage_ms, LOG: log_ms}
        begin_ns = now_ns - round(sum(stages.values()) * NS_PER_MS)
        at_s = served.timestamp // 1000
        links = [Link(tile_context(source, f"{entity}:{id_}", at_s)) for entity, id_ in served.subjects.items()]
        model = served.models.get(MODEL)
        told = {
            "lamina.system": served.system,
            "lamina.request_id": served.request_id,
            "lamina.fallback": served.fallback,
            "lamina.action": served.action or "",
            "lamina.model_version": model.version if model is not None else "",
        }
        parent = set_span_in_context(self._span)
        answer = self._tracer.start_span(
            f"answer {served.system}", parent, attributes=told, links=links, start_time=begin_ns
        )
        inside = set_span_in_context(answer)
        for stage, ms in stages.items():
            span = self._tracer.start_span(stage, inside, start_time=begin_ns)
            begin_ns += round(ms * NS_PER_MS)
            span.end(begin_ns)
        answer.end(now_ns)


TRACE: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)
"""The trace of the request that is being answered."""


def header() -> bytes:
    """What events of the request that is being answered carry; nothing where it is not traced."""
    trace = TRACE.get()
    return b"" if trace is None else trace.header

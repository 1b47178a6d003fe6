"""What is told of an answer that is traced, what its events carry, and that nothing is where nobody traces."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode
from starlette.types import Receive, Scope, Send

from lamina.contracts.fraud_decisions import served_of
from lamina.monitoring.tracing import tile_context
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from serving.middleware.traced import Traced
from serving.stages import delivery
from serving.stages.case import Case
from serving.stages.segments import JournaledEvent
from serving.stages.trace import TRACE, RequestTrace, header
from tests.unit.serving.recognisable import Bench, add_version
from tests.unit.serving.transactions import transaction

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Any:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("tests")


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def ask(
    tracer: Any, path: str, status: int = 200, traceparent: str | None = None, *, trusted: bool = True
) -> list[bytes]:
    """One request through the middleware; what its events would carry."""
    carried = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        carried.append(header())
        assert (Case(transaction(), "r-1", 1).trace is None) == (not carried[-1])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        transport = httpx.ASGITransport(Traced(app, tracer, trusted=trusted))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            await client.post(path, headers={} if traceparent is None else {"traceparent": traceparent})

    asyncio.run(run())
    return carried


def test_a_request_goes_on_with_the_trace_of_its_client(tracer: Any, spans: InMemorySpanExporter) -> None:
    (carried,) = ask(tracer, "/fraud/decisions", traceparent=CLIENT)
    (span,) = spans.get_finished_spans()
    trace_id, span_id = ids(span)
    assert f"{trace_id:032x}" == CLIENT.split("-")[1] and f"{parent(span):016x}" == CLIENT.split("-")[2]
    assert carried == f"00-{trace_id:032x}-{span_id:016x}-01".encode()
    assert dict(span.attributes or {}) == {"http.request.method": "POST", "http.response.status_code": 200}
    assert TRACE.get() is None


def test_who_is_not_trusted_decides_nothing_and_is_linked_to(tracer: Any, spans: InMemorySpanExporter) -> None:
    (carried,) = ask(tracer, "/fraud/decisions", traceparent=CLIENT, trusted=False)
    (span,) = spans.get_finished_spans()
    assert parent(span) is None and carried.split(b"-")[1] != CLIENT.split("-")[1].encode()
    assert [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links] == [CLIENT[3:-3]]

    ask(tracer, "/fraud/decisions", traceparent="not one", trusted=False)
    assert spans.get_finished_spans()[-1].links == ()


def test_a_client_has_itself_traced_only_where_it_is_trusted(spans: InMemorySpanExporter) -> None:
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.0)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    for trusted, traced in ((False, 0), (True, 1)):
        (carried,) = ask(provider.get_tracer("tests"), "/fraud/decisions", traceparent=CLIENT, trusted=trusted)
        assert len(spans.get_finished_spans()) == traced
        assert carried.endswith(b"-01") is trusted


def test_a_request_without_a_trace_begins_one(tracer: Any, spans: InMemorySpanExporter) -> None:
    for given in (None, "not one"):
        (carried,) = ask(tracer, "/fraud/decisions", traceparent=given)
        assert parent(spans.get_finished_spans()[-1]) is None and carried.startswith(b"00-")


def test_an_answer_of_5xx_is_an_error(tracer: Any, spans: InMemorySpanExporter) -> None:
    for status, ok in ((404, True), (500, False), (503, False)):
        ask(tracer, "/fraud/decisions", status)
        assert (spans.get_finished_spans()[-1].status.status_code is not StatusCode.ERROR) is ok


@pytest.mark.parametrize("path", ["/health/ready", "/metrics", "/docs"])
def test_what_machines_ask_again_and_again_is_not_traced(tracer: Any, spans: InMemorySpanExporter, path: str) -> None:
    assert ask(tracer, path) == [b""]
    assert spans.get_finished_spans() == ()


def test_an_answer_has_a_span_a_stage_and_a_link_to_what_becomes_of_its_tiles(
    tmp_path: Path, tracer: Any, spans: InMemorySpanExporter
) -> None:
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.25, tmp_path, "champion")
    bench.start()

    async def run() -> Any:
        await bench.refresh()
        return await bench.decide("u1")

    served = served_of(asyncio.run(run())).model_copy(update={"stage_ms": {"features": 3.0, "model": 1.5}})
    request = tracer.start_span("request")
    RequestTrace(tracer, request).answered(served, "transactions", 4.0, now_ns=10_000_000_000)
    *stages, answer = spans.get_finished_spans()
    told = [(each.name, (each.end_time or 0) - (each.start_time or 0)) for each in stages]
    assert told == [("features", 3_000_000), ("model", 1_500_000), ("log", 4_000_000)]
    assert {parent(each) for each in stages} == {ids(answer)[1]}
    assert stages[0].start_time == answer.start_time and stages[-1].end_time == answer.end_time == 10_000_000_000
    assert parent(answer) == request.get_span_context().span_id
    assert (answer.name, (answer.attributes or {})["lamina.model_version"]) == ("answer fraud", "1")
    assert [link.context for link in answer.links] == [
        tile_context("transactions", f"{entity}:{id_}", served.timestamp // 1000)
        for entity, id_ in served.subjects.items()
    ]
    # Who it was about stays out of it: traces are kept where logs are.
    assert not {*served.subjects.values()} & {*(answer.attributes or {}).values()}


def test_a_request_that_nobody_traces_carries_nothing() -> None:
    assert header() == b"" and Case(transaction(), "r-1", 1).trace is None


def test_only_an_event_with_a_trace_has_a_header() -> None:
    class Producer:
        def __init__(self) -> None:
            self.given: list[dict[str, Any]] = []

        def produce(self, topic: str, value: bytes, key: bytes, **more: Any) -> None:
            self.given.append(more)

    producer: Any = Producer()
    for trace in (b"", CLIENT.encode()):
        delivery.send_event(producer, JournaledEvent("t", b"k", b"{}", trace), on_delivery=print)
    plain, traced = producer.given
    assert plain == {"on_delivery": print}
    assert traced == {"on_delivery": print, "headers": [("traceparent", CLIENT.encode())]}


def test_the_application_traces_where_a_collector_is_named_and_only_there(tmp_path: Path) -> None:
    for endpoint, traced in ((None, False), ("http://127.0.0.1:1", True)):
        settings = Settings(stack_dir=tmp_path / "stack", otlp_url=endpoint)
        service = make_service(settings, registry=MemoryRegistry(tmp_path))
        app = make_app(service)
        assert (Traced in [each.cls for each in app.user_middleware]) is traced  # type: ignore[comparison-overlap]
        assert (service.traces is not None) is traced
        if service.traces is not None:
            service.traces.shutdown()

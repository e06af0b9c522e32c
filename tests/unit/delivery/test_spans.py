from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_intel.delivery.spans import PerProcessBatches, _QuietExporter
from tests.sink import Sink
from tests.waiting import poll_until

SITE = """
import json, os, sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[],
    INSTALLED_APPS=["otel_intel"], OTEL_INTEL={"ENGINE_VERSION": "1", "TRACES": True})
BEFORE
django.setup()
import threading
from opentelemetry import trace
threads_after_setup = [thread.name for thread in threading.enumerate()]
seen = []
def page(request):
    seen.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")
    return HttpResponse()
urlpatterns = [path("page/", page)]
from django.test import Client
Client().get("/page/")
print(json.dumps({"threads": threads_after_setup, "trace": seen[0], "spans": SPANS,
    "middleware": len([m for m in settings.MIDDLEWARE if "opentelemetry" in m])}))
"""


def run(before: str = "", spans: str = "0", script: str = SITE, **more: str) -> dict[str, object]:
    script = script.replace("BEFORE", before).replace("SPANS", spans)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DJANGO_"))}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=kept | more, capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(result.stdout)
    assert isinstance(answer, dict)
    return answer


def test_requests_are_traced_without_a_thread_at_start() -> None:
    seen = run()
    assert seen["threads"] == ["MainThread"]
    assert seen["trace"] != "0" * 32
    assert seen["middleware"] == 1


ASGI = """
import asyncio
from django.http import StreamingHttpResponse
from django.test import AsyncClient
async def apage(request):
    return page(request)
async def streamed(request):
    page(request)
    async def parts():
        yield b"x"
    return StreamingHttpResponse(parts())
urlpatterns += [path("apage/", apage), path("streamed/", streamed)]
async def visit():
    for name in ("page", "apage", "streamed"):
        response = await AsyncClient().get(f"/{name}/")
        if response.streaming:
            [part async for part in response]
seen.clear()
asyncio.run(visit())
seen = [",".join(seen)]
"""


def test_requests_under_asgi_are_traced_as_well() -> None:
    """Sync, async and streaming views; the Django instrumentation needs another package for it, and does not say so."""
    traces = str(run(script=SITE.replace("print(", f"{ASGI}\nprint("))["trace"]).split(",")
    assert len(set(traces)) == 3
    assert "0" * 32 not in traces


OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
"""


def test_under_test_nothing_is_traced() -> None:
    assert run(PYTEST_VERSION="9")["trace"] == "0" * 32


def test_the_applications_provider_is_used() -> None:
    assert run(OWN_PROVIDER, "len(memory.get_finished_spans())")["spans"] == 1


def test_nothing_is_instrumented_twice() -> None:
    before = f"{OWN_PROVIDER}\nfrom opentelemetry.instrumentation.django import DjangoInstrumentor\n"
    seen = run(f"{before}DjangoInstrumentor().instrument()", "len(memory.get_finished_spans())")
    assert (seen["middleware"], seen["spans"]) == (1, 1)


def test_the_thread_comes_with_the_first_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    provider = TracerProvider(shutdown_on_exit=False)
    batches = PerProcessBatches()
    provider.add_span_processor(batches)
    before = threading.active_count()
    provider.get_tracer("test").start_span("request").end()
    assert threading.active_count() == before + 1
    batches.shutdown()


class Spans(SpanExporter):
    """Note what is exported and answer as told."""

    def __init__(self, result: SpanExportResult) -> None:
        self.result = result
        self.exported: list[object] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exported += spans
        return self.result


@pytest.mark.parametrize(("result", "lines"), [(SpanExportResult.SUCCESS, 0), (SpanExportResult.FAILURE, 1)])
def test_spans_that_cannot_be_delivered_are_logged_once(
    result: SpanExportResult, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Spans(result)
    exporter = _QuietExporter(inner)
    spans = [ReadableSpan("a"), ReadableSpan("b")]
    assert exporter.export(spans[:1]) is exporter.export(spans[1:]) is result
    assert inner.exported == spans
    assert caplog.text.count("Spans cannot be delivered") == lines


def test_spans_share_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Spans] = []

    def make() -> Spans:
        made.append(Spans(SpanExportResult.SUCCESS))
        return made[-1]

    monkeypatch.setattr("otel_intel.delivery.spans._exporter", make)
    processor = PerProcessBatches()
    provider = TracerProvider()
    provider.add_span_processor(processor)
    for name in ("a", "b"):
        provider.get_tracer("x").start_span(name).end()
    processor.shutdown()
    assert [len(spans.exported) for spans in made] == [2]


Waiting: TypeAlias = tuple[PerProcessBatches, TracerProvider]


@pytest.fixture
def waiting(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    """Batches that wait for a minute before they send to the sink, and the provider of their spans."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    batches = PerProcessBatches()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(batches)
    yield batches, provider
    batches.shutdown()


def test_in_a_hurry_each_span_is_exported_soon(waiting: Waiting, sink: Sink) -> None:
    batches, provider = waiting
    provider.get_tracer("x").start_span("before").end()
    started = time.monotonic()
    batches.hurry()
    for count in range(1, 5):
        assert poll_until(lambda count=count: sink.spans == count)  # type: ignore[misc]
        provider.get_tracer("x").start_span("after").end()
    assert time.monotonic() - started < 2


def test_a_flush_exports_the_spans_that_wait(waiting: Waiting, sink: Sink) -> None:
    _, provider = waiting
    assert provider.force_flush()  # nothing waits
    provider.get_tracer("x").start_span("request").end()
    assert provider.force_flush()
    assert sink.spans == 1

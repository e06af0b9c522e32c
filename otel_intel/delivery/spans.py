"""Trace Django's requests, so that an event's trace_id opens the request that produced it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.environment_variables import OTEL_BSP_SCHEDULE_DELAY, OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otel_intel.conf import env_flag, get_settings

from .endings import deliverers
from .environment import GRPC, grpc_options, protocol, resource, timeout, without_secrets
from .session import Session, exporter_log

logger = logging.getLogger("otel_intel")

HURRY = 60.0  # seconds; a process that still runs then was not stopped
DEFAULT_DELAY_MS = 1000  # with OpenTelemetry's 5 s, a new event would be visible long before its request


def instrument_django() -> None:
    """Trace Django's requests, unless something has set that up already.

    Uses the application's TracerProvider and its exporter if there is one. Otherwise makes a provider that
    sends to the same place as the events. Never sets a global provider.
    """
    instrumentor = DjangoInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry or env_flag(OTEL_SDK_DISABLED):
        return
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        own = TracerProvider(resource=resource(), shutdown_on_exit=False)
        own.add_span_processor(PerProcessBatches())
        provider = own
    instrumentor.instrument(tracer_provider=provider)


class _QuietExporter(SpanExporter):
    """Log once that spans cannot be delivered; the exporter would log it for each batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._said = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with exporter_log.attempt() as attempt:
            result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS and not self._said:
            self._said = True
            logger.warning("Spans cannot be delivered (said once per process): %s", without_secrets(attempt.error))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exporter() -> SpanExporter:
    if protocol("TRACES") == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(timeout=timeout("TRACES"), channel_options=grpc_options("TRACES"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(timeout=timeout("TRACES"), session=Session())


class PerProcessBatches(SpanProcessor):
    """Batch and export spans with this process's own thread and connection, which start with its first span.

    After a fork, parent and child would share one connection and mix their data
    (https://github.com/open-telemetry/opentelemetry-python/issues/4994).
    """

    def __init__(self) -> None:
        self._pid = 0
        self._batches: BatchSpanProcessor | None = None
        self._closing: tuple[threading.Thread, float] | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: spans are exported when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a finished span."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            delay = None if os.environ.get(OTEL_BSP_SCHEDULE_DELAY) else DEFAULT_DELAY_MS
            self._batches = BatchSpanProcessor(_QuietExporter(_exporter()), schedule_delay_millis=delay)
            deliverers.add(self)
        if self._batches is not None:
            self._batches.on_end(span)

    def hurry(self) -> None:
        """Export what waits now, and each span soon after it ends: the application has been told to stop."""
        if self._batches is not None and self._pid == os.getpid():
            threading.Thread(target=self._flush_until_the_end, name="otel_intel-spans-hurry", daemon=True).start()

    def _flush_until_the_end(self) -> None:
        until = time.monotonic() + HURRY
        while (batches := self._batches) is not None and time.monotonic() < until:
            batches.force_flush(1000)
            time.sleep(0.05)

    def begin_shutdown(self) -> None:
        """Start a thread that exports the spans that wait; the exit waits for it and for the events together."""
        batches, self._batches = self._batches, None
        if batches is None or self._pid != os.getpid():
            return
        closing = threading.Thread(target=batches.shutdown, name="otel_intel-spans", daemon=True)
        try:
            closing.start()
        except RuntimeError:  # no new thread can start while the interpreter shuts down
            return
        self._closing = closing, time.monotonic() + get_settings().EXIT_TIMEOUT

    def shutdown(self) -> None:
        """Export the spans that wait, within EXIT_TIMEOUT: the SDK's own shutdown may take many seconds."""
        self.begin_shutdown()
        if self._closing is not None:
            thread, deadline = self._closing
            thread.join(max(0.0, deadline - time.monotonic()))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the spans that wait."""
        return self._batches is None or self._batches.force_flush(timeout_millis)

"""Measure the time of one ``track_*`` call, and of a plain ``Logger.emit`` of the OpenTelemetry SDK, in one run.

Both send to an endpoint on loopback that answers at once, with their usual background threads. Rounds alternate.
The calls come one per 0.5 ms, as in a request, and back to back. Prints microseconds and ratios.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median, quantiles

ROUNDS, CALLS = 15, 1500


class Endpoint(BaseHTTPRequestHandler):
    """Take anything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read a request and answer 200."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


def serve() -> None:
    """Serve the endpoint and print its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def measure(call: Callable[[int], None], pause: float) -> list[float]:
    """Return the duration of each call in µs."""
    clock = time.perf_counter_ns
    durations = []
    for number in range(CALLS):
        if pause:
            time.sleep(pause)
        before = clock()
        call(number)
        durations.append((clock() - before) / 1000)
    return durations


def ours() -> tuple[Callable[[int], None], Callable[[], object]]:
    """Return a function that tracks an event with otel_intel, and one that delivers the events."""
    from otel_intel import get_telemetry

    telemetry = get_telemetry()

    def call(number: int) -> None:
        telemetry.track_recommendation_accept(number, 42, "EXPIRING_SOON", "HIGH", decision_time_ms=450)

    return call, lambda: telemetry.flush(60)


def raw() -> tuple[Callable[[int], None], Callable[[], object]]:
    """Return the same two functions for the SDK alone."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), max_queue_size=8192))
    logger = provider.get_logger("benchmark")

    def call(number: int) -> None:
        logger.emit(
            timestamp=time.time_ns(),
            event_name="intel.recommendation.accepted",
            attributes={
                "log.record.uid": "01a2075a-0b17-7d35-bea0-4c53069e11ef",
                "intel.schema.version": "1",
                "intel.engine.version": "1",
                "intel.risk_signal.id": str(number),
                "intel.admin.id": "42",
                "intel.recommendation.type": "EXPIRING_SOON",
                "intel.recommendation.confidence": "HIGH",
                "intel.decision.time_ms": 450,
            },
        )

    return call, provider.force_flush


def percentiles(durations: list[float]) -> tuple[float, float]:
    """Return p50 and p99."""
    return median(durations), quantiles(durations, n=100)[98]


def main() -> None:
    """Print the table."""
    endpoint = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert endpoint.stdout is not None
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{endpoint.stdout.readline().strip()}"
    os.environ["OTEL_INTEL_ENGINE_VERSION"] = "1"
    contenders = {"otel_intel": ours(), "OpenTelemetry SDK": raw()}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {ROUNDS} times {CALLS} calls each")
    try:
        for pace, pause in (("one per 0.5 ms", 0.0005), ("back to back", 0.0)):
            durations: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(ROUNDS):
                for name, (call, flush) in contenders.items():
                    durations[name] += measure(call, pause)
                    flush()
            print(f"\n{pace:<24}{'p50 µs':>10}{'p99 µs':>10}")
            results = {name: percentiles(values) for name, values in durations.items()}
            for name, (p50, p99) in results.items():
                print(f"{name:<24}{p50:>10.2f}{p99:>10.2f}")
            (our50, our99), (raw50, raw99) = results.values()
            print(f"{'SDK / otel_intel':<24}{raw50 / our50:>9.1f}x{raw99 / our99:>9.1f}x")
    finally:
        endpoint.kill()
        endpoint.wait()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()

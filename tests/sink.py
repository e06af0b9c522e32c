"""An OTLP endpoint on loopback that a test controls, faults included."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


def value_of(value: AnyValue) -> object:
    """Return the content of an OTLP value."""
    return getattr(value, str(value.WhichOneof("value")))


def attributes_of(record: LogRecord) -> dict[str, object]:
    """Return a record's attributes as a dict."""
    return {attribute.key: value_of(attribute.value) for attribute in record.attributes}


class Sink:
    """Receive OTLP requests; for each, ``answer`` returns the status or blocks."""

    def __init__(self) -> None:
        self.requests: list[ExportLogsServiceRequest] = []  # only those answered with 200
        self.headers: list[dict[str, str]] = []
        self.spans = 0  # how many spans came
        self.answer: Callable[[ExportLogsServiceRequest], int] = lambda request: 200
        self.exception: tuple[int, bytes] | None = None  # ClickHouse's code and text, sent with every status but 200
        self.body: tuple[str, bytes] | None = None  # type and content of every answer but 200
        self.port = 0
        self.done = threading.Event()  # set at the end, so that blocked answers return

    @property
    def records(self) -> list[LogRecord]:
        """All records that were accepted, in order."""
        return [
            record
            for request in self.requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def events(self) -> list[LogRecord]:
        """All records except the pipeline's own reports."""
        return [record for record in self.records if record.event_name != "intel.pipeline.reported"]

    @property
    def url(self) -> str:
        """The URL that it listens on."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def run_sink(port: int = 0) -> Iterator[Sink]:
    """Run a sink on a free port."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path.endswith("/v1/traces"):
                spans = ExportTraceServiceRequest.FromString(body).resource_spans
                sink.spans += sum(len(scope.spans) for resource in spans for scope in resource.scope_spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            request = ExportLogsServiceRequest.FromString(body)
            status = sink.answer(request)
            if status == 200:
                sink.requests.append(request)
                sink.headers.append(dict(self.headers))
            try:
                code, text = (sink.exception if status != 200 else None) or (None, b"")
                self.send_response(status)
                if code is not None:
                    self.send_header("X-ClickHouse-Exception-Code", str(code))
                if sink.body and status != 200:
                    self.send_header("Content-Type", sink.body[0])
                    text = sink.body[1]
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                self.close_connection = True  # the client gave up

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.done.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def run_grpc_receiver(
    answer: Callable[[ExportLogsServiceRequest], tuple[grpc.StatusCode, str] | None], max_bytes: int = 4_194_304
) -> Iterator[str]:
    """Run an OTLP receiver for gRPC on a free port and give its URL; the answer None accepts a request."""

    class Service(LogsServiceServicer):
        def Export(self, request: ExportLogsServiceRequest, context: grpc.ServicerContext) -> ExportLogsServiceResponse:
            if status := answer(request):
                context.abort(*status)
            return ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", max_bytes)])
    add_LogsServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()  # wait, because a later test may use the same port

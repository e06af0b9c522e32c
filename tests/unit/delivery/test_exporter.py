"""The result of one request: delivered, refused for good, or to be sent again; and its error message."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.sdk._logs import ReadableLogRecord

from otel_intel.delivery.exporter import Delivery, Exporter
from otel_intel.events import DASHBOARD_OPENED, SCHEMA_VERSION
from tests.sink import Sink, attributes_of, run_grpc_receiver


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Exporter:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    return Exporter()


@pytest.fixture
def hasty_exporter(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Exporter:
    """Return one that sends nothing twice: OpenTelemetry's exporter waits 0.8 s or more before a second attempt."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.75")
    return Exporter()


def record(exporter: Exporter, **attributes: str) -> ReadableLogRecord:
    return exporter.record(DASHBOARD_OPENED, time.time_ns(), None, "2.0", {"intel.admin.id": "42", **attributes})


# -- HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_accepted_request_is_delivered(exporter: Exporter, sink: Sink, status: int) -> None:
    sink.answer = lambda request: status
    assert exporter.export([record(exporter)]) is Delivery.DELIVERED
    assert exporter.last_error == ""


@pytest.mark.parametrize(("status", "delivery"), [(400, Delivery.REFUSED), (413, Delivery.UNREADABLE)])
def test_a_permanent_error_is_not_tried_again(exporter: Exporter, sink: Sink, status: int, delivery: Delivery) -> None:
    sink.answer = lambda request: status
    assert exporter.export([record(exporter)]) is delivery


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (36, "Could not find a message named 'ExportLogsServiceRequest' in the schema file"),
        (60, "Table intel.otlp_logs does not exist"),
        (243, "Cannot reserve 1.00 MiB, not enough space"),
        (252, "Too many parts"),
        (242, "Table is in readonly mode"),
    ],
)
def test_what_is_about_the_server_is_tried_again_though_it_says_400(
    exporter: Exporter, sink: Sink, code: int, text: str
) -> None:
    sink.answer, sink.exception = lambda request: 400, (code, text.encode())
    assert exporter.export([record(exporter)]) is Delivery.FAILED


def test_no_answer_comes_compressed(exporter: Exporter, sink: Sink) -> None:
    assert exporter.export([record(exporter)]) is Delivery.DELIVERED
    assert sink.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again(hasty_exporter: Exporter, sink: Sink, status: int) -> None:
    sink.answer = lambda request: status
    assert hasty_exporter.export([record(hasty_exporter)]) is Delivery.FAILED
    assert hasty_exporter.last_error.startswith(f"{status} ")


def test_a_request_after_a_failed_one_is_judged_by_itself(exporter: Exporter, sink: Sink) -> None:
    sink.answer = lambda request: 400
    assert exporter.export([record(exporter)]) is Delivery.REFUSED
    sink.answer = lambda request: 200
    assert exporter.export([record(exporter)]) is Delivery.DELIVERED
    assert exporter.last_error == ""


@pytest.mark.parametrize(
    ("code", "text", "delivery"),
    [
        (444, "Unknown protobuf format", Delivery.UNREADABLE),
        (354, "inflate failed", Delivery.UNREADABLE),
        (32, "end of stream: (in ProtobufRowInputFormat)", Delivery.UNREADABLE),
        (33, "cannot read: (in ProtobufRowInputFormat)", Delivery.UNREADABLE),
        (32, "end of a replica's stream", Delivery.FAILED),
        (60, "Unknown table (in ProtobufRowInputFormat)", Delivery.FAILED),
    ],
)
def test_only_unreadable_requests_are_permanent_errors_of_clickhouse(
    hasty_exporter: Exporter, sink: Sink, code: int, text: str, delivery: Delivery
) -> None:
    sink.answer, sink.exception = lambda request: 500, (code, text.encode())
    assert hasty_exporter.export([record(hasty_exporter)]) is delivery


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("text/plain", b"no\x00such\r\n  token", "403 Forbidden no such token"),
        ("application/x-protobuf", Status(code=7, message="no such token").SerializeToString(),
         "403 Forbidden no such token"),
        ("application/x-protobuf", b"\xff\xff", "403 Forbidden"),
        ("text/plain", b"x" * 1000, f"403 Forbidden {'x' * 300}"),
        ("text/plain", b"ask http://me:word@host/", "403 Forbidden ask http://host/"),
        ("text/plain", b"", "403 Forbidden"),
    ],
)  # fmt: skip
def test_the_answers_text_is_reported(
    exporter: Exporter, sink: Sink, content_type: str, body: bytes, said: str
) -> None:
    sink.answer, sink.body = lambda request: 403, (content_type, body)
    assert exporter.export([record(exporter)]) is Delivery.FAILED
    if content_type == "application/x-protobuf" and body == b"\xff\xff":
        assert exporter.last_error.startswith(said)
    else:
        assert exporter.last_error == said


def test_a_broken_connection_is_reported_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1.5")  # time for a second attempt, whose cause it logs
    exporter = Exporter()
    assert exporter.export([record(exporter)]) is Delivery.FAILED
    assert exporter.last_error == "[Errno 111] Connection refused"


def test_an_endpoint_that_does_not_answer_is_not_waited_for(hasty_exporter: Exporter, sink: Sink) -> None:
    sink.answer = lambda request: 200 if sink.done.wait(20) else 503
    began = time.monotonic()
    assert hasty_exporter.export([record(hasty_exporter)]) is Delivery.FAILED
    assert time.monotonic() - began < 10
    sink.done.set()


# -- records -----------------------------------------------------------------------------------------------------


def sent(exporter: Exporter, sink: Sink, **attributes: str) -> dict[str, object]:
    assert exporter.export([record(exporter, **attributes)]) is Delivery.DELIVERED
    return attributes_of(sink.records[-1])


def test_a_record_has_its_id_its_time_and_its_versions(exporter: Exporter, sink: Sink) -> None:
    before = time.time_ns()
    attributes = sent(exporter, sink)
    after = time.time_ns()
    uid = uuid.UUID(str(attributes.pop("log.record.uid")))
    assert uid.version == 7
    assert before // 10**6 <= uid.int >> 80 <= after // 10**6
    assert attributes == {
        "intel.schema.version": SCHEMA_VERSION,
        "intel.engine.version": "2.0",
        "intel.admin.id": "42",
    }
    [wire] = sink.records
    assert (wire.event_name, wire.observed_time_unix_nano) == ("intel.dashboard.opened", wire.time_unix_nano)
    assert before <= wire.time_unix_nano <= after


def test_the_process_is_named_where_it_has_a_name(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    assert sent(Exporter(process_id="p1"), sink)["intel.pipeline.process.id"] == "p1"


def test_an_admin_leaves_as_a_keyed_hash(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    hashed = hmac.new(b"key", b"42", hashlib.sha256).hexdigest()
    assert sent(Exporter("key"), sink)["intel.admin.id"] == hashed


# -- gRPC --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "details", "delivery"),
    [
        (grpc.StatusCode.OK, "", Delivery.DELIVERED),
        (grpc.StatusCode.INVALID_ARGUMENT, "bad record", Delivery.REFUSED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max (5 vs. 4)", Delivery.UNREADABLE),
        # An overloaded receiver answers with the same status; it accepts the events later.
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "memory limit", Delivery.FAILED),
        (grpc.StatusCode.UNAVAILABLE, "not now", Delivery.FAILED),
        (grpc.StatusCode.UNAUTHENTICATED, "no token", Delivery.FAILED),
        (grpc.StatusCode.INTERNAL, "oops", Delivery.FAILED),
    ],
)
def test_a_grpc_receivers_answer(
    monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode, details: str, delivery: Delivery
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")  # time for a second attempt, which may end it
    with run_grpc_receiver(lambda request: None if code is grpc.StatusCode.OK else (code, details)) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        exporter = Exporter()
        assert exporter.export([record(exporter)]) is delivery


def test_the_first_answer_of_a_grpc_receiver_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")  # time for a second attempt
    too_large = (grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max (5 vs. 4)")
    answers = iter([too_large])
    with run_grpc_receiver(lambda request: next(answers, (grpc.StatusCode.UNAVAILABLE, "not now"))) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        exporter = Exporter()
        assert exporter.export([record(exporter)]) is Delivery.UNREADABLE
    assert next(answers, None) is None


# -- the environment's proxy -------------------------------------------------------------------------------------


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name a proxy that does not answer, and no exceptions from it."""
    for name in ("no_proxy", "NO_PROXY", "grpc_proxy", "no_grpc_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


@pytest.mark.usefixtures("proxy")
def test_no_proxy_is_asked_for_this_machine(exporter: Exporter) -> None:
    assert exporter.export([record(exporter)]) is Delivery.DELIVERED


@pytest.mark.usefixtures("proxy")
def test_no_proxy_is_asked_for_this_machine_by_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_grpc_receiver(lambda request: None) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        exporter = Exporter()
        assert exporter.export([record(exporter)]) is Delivery.DELIVERED


@pytest.mark.usefixtures("proxy")
def test_other_hosts_are_asked_for_through_the_proxy(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("http_proxy", sink.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318")
    exporter = Exporter()
    assert exporter.export([record(exporter)]) is Delivery.DELIVERED


def test_the_batchs_time_limit_is_the_requests(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_BLRP_EXPORT_TIMEOUT", "300")
    sink.answer = lambda request: 503 if sink.done.wait(8) else 200
    exporter, started = Exporter(), time.monotonic()
    assert exporter.export([record(exporter)]) is Delivery.FAILED
    assert time.monotonic() - started < 5

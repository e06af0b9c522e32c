from __future__ import annotations

import contextlib
import gzip
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from django.test import override_settings
from opentelemetry.context import Context
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_intel import Telemetry
from otel_intel.delivery import pipeline as delivery
from otel_intel.delivery.ledger import PipelineStatus, QueuedEvent
from otel_intel.delivery.session import MAX_ANSWER, Session
from otel_intel.events import DASHBOARD_OPENED, DROP_REASONS, SCHEMA_URL
from tests.sink import Sink, attributes_of, run_grpc_receiver, run_sink
from tests.waiting import poll_until


def holds(status: PipelineStatus) -> bool:
    return status["emitted"] == status["delivered"] + sum(status["dropped"].values()) + status["queued"]


def signals(request: ExportLogsServiceRequest) -> set[object]:
    records = [record for one in request.resource_logs for scope in one.scope_logs for record in scope.log_records]
    return {attributes_of(record).get("intel.risk_signal.id") for record in records}


def test_every_reason_is_counted_from_the_start(production: Telemetry) -> None:
    assert production.status() == {
        "emitted": 0,
        "delivered": 0,
        "dropped": dict.fromkeys(DROP_REASONS, 0),
        "queued": 0,
        "invalid_optional": 0,
    }


def test_all_threads_events_arrive_once(production: Telemetry, sink: Sink) -> None:
    def work(number: int) -> None:
        for signal in range(250):
            production.track_signal_detail_open(number, signal)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert production.flush(20)
    assert len({attributes_of(record)["log.record.uid"] for record in sink.events}) == len(sink.events) == 1000
    assert production.status() == {
        "emitted": 1000,
        "delivered": 1000,
        "dropped": dict.fromkeys(DROP_REASONS, 0),
        "queued": 0,
        "invalid_optional": 0,
    }


def test_every_record_names_its_semantic_conventions(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(1)
    assert production.flush()
    scopes = [scope for request in sink.requests for one in request.resource_logs for scope in one.scope_logs]
    assert {(scope.scope.name, scope.schema_url) for scope in scopes} == {("otel_intel", SCHEMA_URL)}


def test_events_arrive_in_order_and_in_small_requests(production: Telemetry, sink: Sink) -> None:
    for signal in range(300):
        production.track_signal_detail_open(1, signal)
    assert production.flush()
    assert [attributes_of(record)["intel.risk_signal.id"] for record in sink.events] == [str(n) for n in range(300)]
    assert max(len(signals(request)) for request in sink.requests) <= 128


def black_hole(sink: Sink) -> None:
    def answer(request: ExportLogsServiceRequest) -> int:
        sink.done.wait(30)
        return 200

    sink.answer = answer


@override_settings(OTEL_INTEL={"ENGINE_VERSION": "1", "QUEUE_SIZE": 10})
def test_a_full_queue_keeps_room_for_decisions(production: Telemetry, sink: Sink) -> None:
    black_hole(sink)
    for _ in range(20):
        production.track_dashboard_open(1)
    assert production.status()["queued"] == 8
    for signal in range(20):
        production.track_recommendation_accept(signal, 1, "EXPIRING_SOON", "LOW")
    status = production.status()
    assert (status["queued"], status["dropped"]["queue_full"], status["emitted"]) == (10, 30, 40)


@override_settings(OTEL_INTEL={"ENGINE_VERSION": "1", "QUEUE_SIZE": 1})
def test_a_queue_of_one_takes_one_view(production: Telemetry, sink: Sink) -> None:
    black_hole(sink)
    for _ in range(2):
        production.track_dashboard_open(1)
    assert (production.status()["queued"], production.status()["dropped"]["queue_full"]) == (1, 1)


def test_a_failed_batch_is_sent_again_unchanged(production: Telemetry, sink: Sink) -> None:
    refused: list[ExportLogsServiceRequest] = []

    def answer(request: ExportLogsServiceRequest) -> int:
        if len(refused) < 1:
            refused.append(request)
            return 500
        return 200

    sink.answer = answer
    production.track_dashboard_open(1)
    assert production.flush(10)
    assert refused[0].SerializeToString() == sink.requests[0].SerializeToString()
    assert production.status()["delivered"] == 1


@pytest.mark.parametrize("status", [400, 413])
def test_one_bad_record_is_dropped_alone(production: Telemetry, sink: Sink, status: int) -> None:
    sink.answer = lambda request: status if "66" in signals(request) else 200
    for signal in range(100):
        production.track_signal_detail_open(1, signal)
    assert production.flush() is False
    assert len({attributes_of(record)["log.record.uid"] for record in sink.events}) == 99
    assert production.status()["dropped"]["rejected"] == 1
    assert holds(production.status())


def test_an_endpoint_that_refuses_everything_costs_no_event(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(1)
    assert production.flush(10)
    is_mended = takes = False

    def answer(request: ExportLogsServiceRequest) -> int:
        nonlocal takes
        # Between two attempts: in the middle of one, what was refused before would be to blame.
        takes |= is_mended and len(request.resource_logs[0].scope_logs[0].log_records) == 100
        return 200 if takes else 400

    sink.answer = answer
    for _ in range(100):
        production.track_dashboard_open(1)
    assert production.flush(0.5) is False
    assert production.status()["queued"] == 100
    is_mended = True
    assert production.flush(10)
    assert production.status()["delivered"] == 101
    assert len({attributes_of(record)["log.record.uid"] for record in sink.events}) == 101


def test_an_endpoint_that_refuses_everything_from_the_start_is_not_asked_for_each_event(
    production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "5000")  # nothing is sent before flush
    sizes: list[int] = []

    def refuse(request: ExportLogsServiceRequest) -> int:
        sizes.append(len(signals(request)))
        return 400

    sink.answer = refuse
    for signal in range(100):
        production.track_signal_detail_open(1, signal)
    assert poll_until(lambda: production.flush(0) or sizes.count(100) > 1)
    assert sizes[: sizes.index(100, 1)].count(1) == delivery.MAX_REFUSED_IN_A_ROW
    sink.answer = lambda request: 200
    assert poll_until(lambda: production.flush(0.1))
    assert len({attributes_of(record)["intel.risk_signal.id"] for record in sink.events}) == 100
    assert production.status()["dropped"]["rejected"] == 0


def test_a_half_that_fails_ends_the_attempt(production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "5000")  # nothing is sent before flush
    sizes: list[int] = []

    def answer(request: ExportLogsServiceRequest) -> int:
        sizes.append(len(signals(request)))
        return 413 if sizes[-1] > 1 else 500

    sink.answer = answer
    for signal in range(4):
        production.track_signal_detail_open(1, signal)
    assert poll_until(lambda: production.flush(0) or len(sizes) >= 6)
    assert sizes[:6] == [4, 2, 1, 4, 2, 1]


def test_a_refused_event_waits_for_another_of_its_kind(production: Telemetry, sink: Sink) -> None:
    sink.answer = lambda request: 400 if "66" in signals(request) else 200
    production.track_signal_detail_open(1, 66)
    assert production.flush(0.3) is False
    assert production.status()["queued"] == 1
    production.track_signal_outcome(1, "RESOLVED")  # of another kind: it says nothing about views
    assert poll_until(lambda: production.status()["delivered"] == 1)
    assert production.status()["dropped"]["rejected"] == 0
    production.track_signal_detail_open(1, 67)
    assert poll_until(lambda: production.status()["dropped"]["rejected"] == 1)
    assert production.status()["delivered"] == 2


@pytest.mark.parametrize(
    ("code", "text", "rejected"),
    [
        (444, b"Protobuf messages are corrupted", 1),
        (354, b"inflate failed", 1),
        (32, b"Attempt to read after eof: While executing ProtobufRowInputFormat", 1),
        (33, b"Cannot read all data: While executing ProtobufRowInputFormat", 1),
        (32, b"Attempt to read after eof: while receiving packet from another node", 0),
        (33, b"Cannot read all data: of a part", 0),
        (241, b"Memory limit exceeded: While executing ProtobufRowInputFormat", 0),
    ],
)
def test_an_error_of_clickhouse_is_for_good_only_if_it_cannot_read_the_request(
    production: Telemetry, sink: Sink, code: int, text: bytes, rejected: int
) -> None:
    answers = iter([500])
    sink.answer, sink.exception = lambda request: next(answers, 200), (code, text)
    production.track_dashboard_open(1)
    production.flush(10)
    assert production.status()["dropped"]["rejected"] == rejected
    assert len(sink.events) == 1 - rejected


@pytest.mark.parametrize("status", [301, 302, 304, 307])
def test_a_redirect_is_no_delivery(production: Telemetry, sink: Sink, status: int) -> None:
    sink.answer = lambda request: status
    production.track_dashboard_open(1)
    assert production.flush(0.3) is False
    assert production.status()["queued"] == 1


def test_the_thread_survives_any_number_of_failures(
    production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many failures that 2.0 ** failures would overflow."""
    failed: list[float] = []

    def fail(request: ExportLogsServiceRequest) -> int:
        failed.append(time.monotonic())
        return 500

    sink.answer = fail
    monkeypatch.setattr(delivery, "MAX_BACKOFF", 0.0001)
    production.track_dashboard_open(1)
    assert poll_until(lambda: len(failed) > 1100, 60)
    monkeypatch.setattr(delivery, "MAX_BACKOFF", 0.5)
    before = len(failed)
    assert poll_until(lambda: len(failed) > before + 3)
    assert failed[before + 2] - failed[before + 1] >= 0.4
    sink.answer = lambda request: 200
    assert production.flush(10)


def test_the_standard_variable_bounds_the_queue(
    production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "5")
    black_hole(sink)
    for _ in range(9):
        production.track_dashboard_open(1)
    assert production.status()["queued"] == 4


def test_an_endless_answer_is_cut_off(production: Telemetry) -> None:
    def endless(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent.append(0x10000)

    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        production.track_dashboard_open(1)
        connection, _ = server.accept()
        with connection:
            endless(connection)
    assert sum(sent) < 20_000_000
    assert production.status()["queued"] == 1


def test_a_small_answer_that_unpacks_to_a_large_one_is_cut_off() -> None:
    packed = gzip.compress(bytes(50_000_000))

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            head = f"HTTP/1.1 400 Bad Request\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
            connection.sendall(head.encode() + packed)

    with socket.create_server(("127.0.0.1", 0)) as server, Session() as session:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        response = session.get(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert len(response.content) < 2 * MAX_ANSWER


def test_flush_reports_a_loss_once(production: Telemetry, sink: Sink) -> None:
    sink.answer = lambda request: 400
    production.track_dashboard_open(1)
    assert production.flush() is False
    sink.answer = lambda request: 200
    production.track_dashboard_open(1)
    assert production.flush() is True


def test_flush_keeps_its_deadline(production: Telemetry, sink: Sink) -> None:
    black_hole(sink)
    production.track_dashboard_open(1)
    before = time.monotonic()
    assert production.flush(0.3) is False
    assert time.monotonic() - before < 2
    assert production.status()["queued"] == 1


def test_events_wait_for_an_endpoint_that_is_down(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_sink() as gone:
        port = gone.port
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    production.track_dashboard_open(1)
    assert production.flush(0.2) is False
    assert production.status()["queued"] == 1
    with run_sink(port) as back:
        assert production.flush(15)
        assert len(back.events) == 1


def test_after_shutdown_events_are_counted(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(1)
    production.shutdown()
    production.track_dashboard_open(1)
    status = production.status()
    assert (status["delivered"], status["dropped"]["after_shutdown"]) == (1, 1)


def test_shutdown_keeps_its_deadline_and_counts_the_rest(production: Telemetry, sink: Sink) -> None:
    black_hole(sink)
    production.track_dashboard_open(1)
    before = time.monotonic()
    production.shutdown(0.3)
    assert time.monotonic() - before < 2
    assert production.status()["dropped"]["exit_deadline"] == 1
    assert holds(production.status())


def test_the_first_shutdown_sets_the_deadline(production: Telemetry, sink: Sink) -> None:
    black_hole(sink)
    pipeline = delivery.Pipeline()
    pipeline.put(QueuedEvent(DASHBOARD_OPENED, 1, Context(), "1", ("1",)))
    before = time.monotonic()
    pipeline.begin_shutdown(0.1)
    pipeline.shutdown(20)
    assert time.monotonic() - before < 10


def test_after_the_deadline_nothing_is_sent(production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def answer(request: ExportLogsServiceRequest) -> int:
        asked.append(request)
        sink.done.wait(0.2)  # past the deadline
        return 200

    asked: list[ExportLogsServiceRequest] = []
    sink.answer = answer
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        production.track_dashboard_open(1)
    production.shutdown(0.1)
    assert len(asked) == 1  # and no report
    assert production.status()["delivered"] == 1


def test_events_refused_at_the_end_are_reported_with_their_kind(production: Telemetry, sink: Sink) -> None:
    release = threading.Event()

    def answer(request: ExportLogsServiceRequest) -> int:
        release.wait(30)
        return 200

    sink.answer = answer
    production.track_dashboard_open(1)
    closing = threading.Thread(target=production.shutdown, args=(30,))
    closing.start()

    def is_refused() -> bool:
        production.track_dashboard_open(1)
        return production.status()["dropped"]["after_shutdown"] > 0

    assert poll_until(is_refused)
    release.set()
    closing.join()
    report = [attributes_of(one) for one in sink.records if one.event_name == "intel.pipeline.reported"][-1]
    assert report["intel.pipeline.kind"] == "view"
    assert report["intel.pipeline.dropped.after_shutdown"] == production.status()["dropped"]["after_shutdown"]


def test_an_answer_after_the_deadline_is_no_error(
    production: Telemetry, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    black_hole(sink)
    before = set(threading.enumerate())
    production.track_dashboard_open(1)
    production.shutdown(0.1)
    [worker] = [thread for thread in set(threading.enumerate()) - before if thread.name == "otel_intel"]
    sink.done.set()
    worker.join()
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # of the event that was lost
    assert production.status()["delivered"] == 0


def test_an_unexpected_error_is_logged_once_and_the_thread_goes_on(
    production: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = delivery.Pipeline()
    impossible = QueuedEvent(DASHBOARD_OPENED, 1, Context(), "1", ())  # without the values of its attributes
    pipeline.put(impossible)
    assert poll_until(lambda: pipeline.flush(0) or caplog.records)
    pipeline.flush(0.1)
    pipeline.shutdown(0.1)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [error.getMessage() for error in errors] == ["The delivery of events failed; trying again"]
    assert errors[0].exc_info


def test_the_process_reports_its_counters(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(1)
    production.track_recommendation_view(1, 1, "EXPIRING_SOON", "BOGUS")
    production.shutdown()
    reports = [attributes_of(record) for record in sink.records if record.event_name == "intel.pipeline.reported"]
    counters = {
        report["intel.pipeline.kind"]: (
            report["intel.pipeline.emitted"],
            report["intel.pipeline.delivered"],
            report["intel.pipeline.dropped.invalid"],
        )
        for report in reports
    }
    assert counters == {"view": (1, 1, 0), "recommendation": (1, 0, 1)}


def test_a_report_says_when_it_was_made(production: Telemetry, sink: Sink) -> None:
    before = time.time_ns()
    production.track_dashboard_open(1)
    production.shutdown()
    [report] = [record for record in sink.records if record.event_name == "intel.pipeline.reported"]
    assert before <= report.time_unix_nano <= time.time_ns()


def test_the_exporters_own_lines_stay_out_of_the_log(
    production: Telemetry, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answer = lambda request: 500
    with caplog.at_level(logging.DEBUG):
        production.track_dashboard_open(1)
        production.track_dashboard_open(2)
        production.flush(0.5)
    assert {record.name for record in caplog.records if record.levelno >= logging.WARNING} == {"otel_intel"}
    assert len([message for message in caplog.messages if "cannot be delivered" in message]) == 1


@contextlib.contextmanager
def grpc_endpoint(
    monkeypatch: pytest.MonkeyPatch, max_bytes: int = 4_194_304
) -> Iterator[list[ExportLogsServiceRequest]]:
    """Accept OTLP over gRPC, except records about signal 66, and give the accepted requests."""
    taken: list[ExportLogsServiceRequest] = []

    def answer(request: ExportLogsServiceRequest) -> tuple[grpc.StatusCode, str] | None:
        if "66" in signals(request):
            return grpc.StatusCode.INVALID_ARGUMENT, "bad record"
        taken.append(request)
        return None

    with run_grpc_receiver(answer, max_bytes) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        yield taken


def test_grpc_is_used_when_asked_for(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_endpoint(monkeypatch) as taken:
        production.track_signal_detail_open(1, 65)
        production.track_signal_detail_open(1, 66)
        assert production.flush(10) is False
        status = production.status()
        assert (status["delivered"], status["dropped"]["rejected"]) == (1, 1)
        assert signals(taken[0]) == {"65"}


def test_a_grpc_request_that_is_too_large_is_halved(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_endpoint(monkeypatch, max_bytes=12_000) as taken:
        for signal in range(60):
            production.track_signal_detail_open(1, signal)
        assert production.flush(30)  # the exporter repeats a refused request for up to 3 s
        assert production.status()["delivered"] == 60
        assert len(taken) > 1


def test_an_unknown_protocol_is_reported_and_keeps_the_events(
    production: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    production.track_dashboard_open(1)
    assert poll_until(lambda: "OTEL_EXPORTER_OTLP_PROTOCOL=http/json is not supported" in caplog.text)
    assert production.status()["queued"] == 1


def test_the_first_loss_of_a_reason_is_reported_at_once(production: Telemetry, sink: Sink) -> None:
    def reported(key: str) -> list[object]:
        reports = [record for record in sink.records if record.event_name == "intel.pipeline.reported"]
        return [attributes_of(report)[f"intel.pipeline.{key}"] for report in reports]

    production.refuse(DASHBOARD_OPENED, "no_admin")
    assert poll_until(lambda: 1 in reported("dropped.no_admin"), 10)
    production.track_signal_outcome(1, "RESOLVED", resolution_time_hours="soon")  # type: ignore[arg-type]
    assert poll_until(lambda: 1 in reported("invalid_optional"), 10)


@pytest.mark.parametrize("useless", ["0", "-1", "many", ""])
def test_a_variable_that_is_no_number_above_0_is_as_if_not_set(useless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", useless)
    pipeline = delivery.Pipeline(queue_size=2)
    pipeline.shutdown(0.1)
    for _ in range(2):
        pipeline.put(QueuedEvent(DASHBOARD_OPENED, 1, Context(), "1", ("1",)))
    assert pipeline.status()["dropped"]["after_shutdown"] == 2  # not queue_full


def test_the_standard_variables_set_batch_and_delay(
    production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10")
    production.track_dashboard_open(1)
    assert production.flush(10)
    for _ in range(12):  # a full batch goes out by itself, also after an earlier one
        production.track_dashboard_open(1)
    assert poll_until(lambda: len(sink.events) >= 11, 10)
    assert production.flush(10)
    assert max(len(request.resource_logs[0].scope_logs[0].log_records) for request in sink.requests) <= 10


def test_a_rejected_event_is_logged_with_the_answer(
    production: Telemetry, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answer, sink.body = lambda request: 413, ("text/plain", b"request too large")
    production.track_dashboard_open(1)
    assert production.flush(10) is False
    assert poll_until(lambda: "1 event(s) dropped (rejected): 413" in caplog.text)
    assert "request too large" in caplog.text
